"""Emotions of utterances."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain_e2v.inference.classifier_folder import (
    DESCRIPTION,
    read_classifier,
)
from speechbrain_e2v.inference.clips import (
    Clip,
    TooShort,
    clips_of,
    measure,
)
from speechbrain_e2v.inference.label_view import label_view
from speechbrain_e2v.inference.published_classifier import (
    classifier_from_published,
)
from speechbrain_e2v.inference.trained import in_batches
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE
from speechbrain_e2v.published.hub import resolve
from speechbrain_e2v.training.devices import usable_device


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was recognised in one utterance.

    Arguments
    ---------
    source : str
        Path, id of a piece of a file, or ``array <number>``.
    label : str or None
        Stable English id; None when the best class was rejected.
    published : str or None
        The published string of that class.
    score : float
        Probability of the best class, rejected or not.
    scores : dict of str to float
        Probability of every class shown.
    seconds : float
    embedding : numpy.ndarray, [D]
        Mean over the encoder's frames.
    """

    source: str
    label: str | None
    published: str | None
    score: float
    scores: dict
    seconds: float
    embedding: np.ndarray


class EmotionClassifier:
    """Classifies files and arrays, several at a time.

    Arguments
    ---------
    trained : TrainedClassifier
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ...

    Example
    -------
    >>> from speechbrain_e2v.inference.trained import (
    ...     TrainedClassifier, corpus_labels)
    >>> from speechbrain_e2v.lobes.embedding import (
    ...     EmbeddingClassifier, UtteranceEmbedding)
    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> classifier = EmotionClassifier(TrainedClassifier(
    ...     UtteranceEmbedding(encoder), EmbeddingClassifier(48, 3),
    ...     corpus_labels(["anger", "happiness", "sadness"])))
    >>> [prediction] = classifier.classify([torch.randn(16000)],
    ...                                    labels=["angry", "sad"])
    >>> round(sum(prediction.scores.values()), 4), list(prediction.scores)
    (1.0, ['angry', 'sad'])
    """

    def __init__(self, trained, device="cpu"):
        self.trained = trained
        trained.embedding.to(device)
        trained.classifier.to(device)

    @classmethod
    def from_pretrained(cls, source, device=None, local_files_only=False):
        """Load a classifier folder or published weights with a head.

        Nothing of the folder is run: ``hyperparams.yaml`` is not read.

        Arguments
        ---------
        source : str or Path
            What ``e2v export`` wrote, an emotion2vec+ folder, or a hub id of
            either.
        device : str or None
            None: the GPU where there is one.
        local_files_only : bool
            Never download.

        Returns
        -------
        EmotionClassifier
        """
        device = usable_device(device)
        path = resolve(source, local_files_only)
        if (path / DESCRIPTION).is_file():
            trained = read_classifier(path)
        else:
            trained = classifier_from_published(source, local_files_only)
        return cls(trained, device)

    @property
    def labels(self):
        """Stable ids of the classes, a list in the order of the outputs."""
        return [label.id for label in self.trained.labels]

    def classify(self, audio, labels=None, merge=None, reject=None, **reading):
        """Classify utterances; a result does not depend on its batch.

        Arguments
        ---------
        audio : sequence
            Paths of audio files of any rate, waveforms [S] or [S, channels],
            or clips (:mod:`speechbrain_e2v.inference.clips`).
        labels : sequence of str or None
            Only these classes compete; their probabilities add up to 1.
        merge : dict of str to sequence of str or None
            New class to the classes that are added up for it.
        reject : float or None
            Below this probability the label is None.
        **reading
            ``sample_rate`` of the waveforms in Hz (16,000) and
            ``batch_seconds``, audio that is computed together (60).

        Returns
        -------
        list of Prediction
            In the order of `audio`.

        Raises
        ------
        AudioError
            Naming a file that cannot be used.
        ValueError
            For unknown classes, or audio shorter than 400 samples.
        """
        if isinstance(audio, (str, Path)):
            raise ValueError(
                f"audio is one path ({audio}); give a list: [{str(audio)!r}]."
            )
        audio = list(audio)
        found = [None] * len(audio)
        for index, outcome in self.outcomes(
            audio, labels, merge, reject, **reading
        ):
            if isinstance(outcome, ValueError):
                raise outcome
            found[index] = outcome
        return found

    def outcomes(
        self,
        audio,
        labels=None,
        merge=None,
        reject=None,
        sample_rate=SAMPLE_RATE,
        batch_seconds=60.0,
    ):
        """Like `classify`, but go on after files that cannot be used.

        Yields
        ------
        (int, Prediction or ValueError)
            Index in `audio` and what came of it, shortest first.
        """
        if reject is not None and not 0.0 <= reject <= 1.0:
            raise ValueError(f"reject is {reject}; give a probability, 0 to 1.")
        view = label_view(self.trained.labels, labels, merge)
        clips = [
            item if isinstance(item, Clip) else clips_of([item], sample_rate)[0]
            for item in audio
        ]
        sizes, usable = [], []
        for index, size in enumerate(measure(clips, MIN_SAMPLES)):
            if isinstance(size, ValueError):  # AudioError too
                yield index, size
            else:
                sizes.append(size)
                usable.append(index)
        for batch in in_batches(sizes, batch_seconds):
            waveforms, indices = [], []
            for index in (usable[position] for position in batch):
                try:
                    waveforms.append(_read(clips[index]))
                    indices.append(index)
                except ValueError as error:
                    yield index, error
            if waveforms:
                names = [_source(clips[index], index) for index in indices]
                predictions = self._predict(waveforms, names, view, reject)
                yield from zip(indices, predictions, strict=True)

    def _predict(self, waveforms, names, view, reject):
        samples = torch.tensor([len(wav) for wav in waveforms])
        batch = pad_sequence(waveforms, batch_first=True)
        rows, embeddings = self.trained.log_posteriors(batch, samples)
        table = view.probabilities(rows.double()).cpu()
        for name, wav, scores, embedding in zip(
            names, waveforms, table, embeddings.cpu(), strict=True
        ):
            score, best = scores.max(dim=0)
            kept = reject is None or float(score) >= reject
            yield Prediction(
                name,
                view.ids[best] if kept else None,
                view.published[best] if kept else None,
                float(score),
                dict(zip(view.ids, scores.tolist(), strict=True)),
                len(wav) / SAMPLE_RATE,
                embedding.numpy(),
            )


def _source(clip, index):
    if clip.waveform is not None:
        return f"array {index}"
    whole = (clip.start, clip.stop) == (None, None)
    return clip.path if whole else clip.name


def _read(clip):
    wav = clip.read()
    if len(wav) < MIN_SAMPLES:  # shorter than its header says
        raise TooShort(clip.source, len(wav))
    return wav
