"""A trained classifier in memory, whatever it was read from."""

from dataclasses import dataclass, field

import torch

from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.published.head import read_labels


@dataclass(frozen=True)
class ClassLabel:
    """The names of one class.

    Arguments
    ---------
    id : str
        Stable and English: ``happy`` for "happiness" and for "开心/happy".
    published : str
        As the corpus or the published model has it.
    text : str
        What SpeechBrain's ``EncoderClassifier`` returns.

    Example
    -------
    >>> corpus_labels(["happiness", "boredom"])[0]
    ClassLabel(id='happy', published='happiness', text='happiness')
    """

    id: str
    published: str
    text: str


def corpus_labels(classes):
    """Label the classes of a corpus.

    Arguments
    ---------
    classes : sequence of str
        In the order of the outputs.

    Returns
    -------
    tuple of ClassLabel
        Where two classes would share an id, every id is the class name.
    """
    stable = [read_labels([name])[0].id for name in classes]
    if len(set(stable)) < len(stable):
        stable = list(classes)
    return tuple(
        ClassLabel(name_id, name, name)
        for name_id, name in zip(stable, classes, strict=True)
    )


@dataclass
class TrainedClassifier:
    """Embedding model, classifier and labels.

    Arguments
    ---------
    embedding : UtteranceEmbedding
    classifier : EmbeddingClassifier
    labels : tuple of ClassLabel
        In the order of the outputs.
    about : dict
        Where it comes from, JSON-able; the model card is made of it.

    Raises
    ------
    ValueError
        When labels and outputs are not equally many.
    """

    embedding: UtteranceEmbedding
    classifier: EmbeddingClassifier
    labels: tuple
    about: dict = field(default_factory=dict)

    def __post_init__(self):
        outputs = self.classifier.output_layer.out_features
        if outputs != len(self.labels):
            raise ValueError(
                f"the classifier has {outputs} outputs, but there are "
                f"{len(self.labels)} labels: they belong to different models."
            )
        self.embedding.eval().requires_grad_(False)
        self.classifier.eval().requires_grad_(False)

    @torch.no_grad()
    def log_posteriors(self, wav, num_samples):
        """Classify a padded batch.

        Arguments
        ---------
        wav : torch.Tensor, [B, S]
            16 kHz.
        num_samples : torch.Tensor, [B], long

        Returns
        -------
        (torch.Tensor, torch.Tensor)
            Log posteriors [B, C] and the mean over encoder frames [B, D].
        """
        device = next(self.embedding.parameters()).device
        wav, num_samples = wav.to(device), num_samples.to(device)
        wav = normalise_waveform(wav, num_samples)
        lengths = num_samples.double() / wav.shape[1]
        embedding = self.embedding(wav, lengths)
        width = self.embedding.encoder.embed_dim
        return (
            self.classifier(embedding).squeeze(1),
            embedding[:, 0, :width],
        )


def in_batches(num_samples, batch_seconds):
    """Put utterances of similar length together.

    Arguments
    ---------
    num_samples : sequence of int
        Length of each utterance.
    batch_seconds : float
        Seconds of audio in a batch, padding included; a longer utterance is
        a batch of its own.

    Yields
    ------
    list of int
        Indices of a batch.

    Example
    -------
    >>> list(in_batches([16000, 90000, 15000], batch_seconds=2.0))
    [[2, 0], [1]]
    """
    budget = batch_seconds * SAMPLE_RATE
    batch = []
    order = sorted(range(len(num_samples)), key=num_samples.__getitem__)
    for index in order:
        if batch and num_samples[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
