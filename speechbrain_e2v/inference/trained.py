"""A trained classifier in memory, whatever it was read from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from speechbrain_e2v.files.foreign_text import checked_label
from speechbrain_e2v.lobes.batching import waveform_batch
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.published.head import read_labels
from speechbrain_e2v.published.load import read_pretrained


@dataclass(frozen=True)
class ClassLabel:
    """The names of one class.

    `id` is stable and English (``happy`` for "happiness" and for "开心/happy"),
    `published` what the corpus or the published model has, `text` what
    SpeechBrain's ``EncoderClassifier`` and every command give. Names that a
    terminal, a table or a label file would misread are refused.

    >>> corpus_labels(["happiness", "boredom"])[0]
    ClassLabel(id='happy', published='happiness', text='happiness')
    """

    id: str
    published: str
    text: str

    def __post_init__(self) -> None:
        for name in (self.id, self.published, self.text):
            checked_label(name)


def corpus_labels(classes: Sequence[str]) -> tuple[ClassLabel, ...]:
    """Label the classes of a corpus, in the order of the outputs.

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
    """Embedding model, classifier, and labels in the order of the outputs.

    `about` says where it comes from, JSON-able; the model card is made of it.
    `tuned`: the encoder was trained with the head, so that it is nowhere else.

    Raises ValueError when labels and outputs are not equally many.
    """

    embedding: UtteranceEmbedding
    classifier: EmbeddingClassifier
    labels: tuple[ClassLabel, ...]
    about: dict = field(default_factory=dict)
    tuned: bool = False

    def __post_init__(self) -> None:
        outputs = self.classifier.output_layer.out_features
        if outputs != len(self.labels):
            raise ValueError(
                f"the classifier has {outputs} outputs, but there are "
                f"{len(self.labels)} labels: they belong to different models."
            )
        self.embedding.eval().requires_grad_(False)
        self.classifier.eval().requires_grad_(False)

    @torch.no_grad()
    def log_posteriors(
        self, waveforms: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Classify waveforms [S], mono 16 kHz, as one batch.

        Gives log posteriors [B, C] and the mean over encoder frames [B, D].
        """
        device = next(self.embedding.parameters()).device
        batch = waveform_batch(waveforms, device)
        embedding = self.embedding(batch.wav, batch.lengths)
        return (
            self.classifier(embedding).squeeze(1),
            embedding[:, 0, : self.embedding.width],
        )


def classifier_from_published(
    source: str | Path, offline: bool = False
) -> TrainedClassifier:
    """Make a classifier of published weights with a head.

    Outputs that were never trained (``unuse...``) are left out: masked as in
    the released code, they never get probability.

    Raises ValueError when the weights have no head.
    """
    pretrained = read_pretrained(source, offline)
    head = pretrained.head
    if head is None:
        raise ValueError(
            f"{source} has no classification head: export the output folder "
            "of a recipe, or an emotion2vec+ model."
        )
    used = [i for i, label in enumerate(head.labels) if label.used]
    classifier = EmbeddingClassifier(pretrained.encoder.embed_dim, len(used))
    with torch.no_grad():
        classifier.output_layer.weight.copy_(head.weight[used])
        classifier.output_layer.bias.copy_(head.bias[used])
    labels = tuple(
        ClassLabel(label.id, label.published, label.id)
        for label in (head.labels[i] for i in used)
    )
    about = {
        "kind": "published head on the mean over frames",
        "encoder_card": pretrained.card,
        "calibration": None,
    }
    embedding = UtteranceEmbedding(pretrained.encoder)
    return TrainedClassifier(embedding, classifier, labels, about)
