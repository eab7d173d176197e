"""Emotions of utterances."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechbrain_e2v.inference.classifier_folder import (
    DESCRIPTION,
    read_classifier,
)
from speechbrain_e2v.inference.clips import (
    Audio,
    Clip,
    clips_of,
    is_alone,
    measure,
    plan_batches,
    read_batches,
)
from speechbrain_e2v.inference.label_view import LabelView, label_view
from speechbrain_e2v.inference.trained import (
    TrainedClassifier,
    classifier_from_published,
)
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE
from speechbrain_e2v.published.hub import resolve
from speechbrain_e2v.training.devices import usable_device


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was recognised in one utterance.

    `source` is a path, the id of a piece of a file, or ``array <number>``;
    `label` the stable English id, None when the best class was rejected;
    `published` the published string of that class; `score` the probability of
    the best class, rejected or not; `scores` that of every class shown;
    `embedding` [D] the mean over the encoder's frames.
    """

    source: str
    label: str | None
    published: str | None
    score: float
    scores: dict[str, float]
    seconds: float
    embedding: np.ndarray


class EmotionClassifier:
    """Classifies files and arrays, several at a time.

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

    def __init__(
        self, trained: TrainedClassifier, device: torch.device | str = "cpu"
    ):
        self.trained = trained
        trained.embedding.to(device)
        trained.classifier.to(device)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | None = None,
        local_files_only: bool = False,
    ) -> "EmotionClassifier":
        """Load a classifier folder or published weights with a head.

        `source` is what ``e2v export`` wrote, an emotion2vec+ folder, or a hub
        id of either, which `local_files_only` keeps from being downloaded.
        Nothing of the folder is run: ``hyperparams.yaml`` is not read. Without
        a device it is a GPU where there is one.
        """
        usable = usable_device(device)
        path = resolve(source, local_files_only)
        if (path / DESCRIPTION).is_file():
            trained = read_classifier(path)
        else:
            trained = classifier_from_published(source, local_files_only)
        return cls(trained, usable)

    @property
    def labels(self) -> list[str]:
        """Stable ids of the classes in the order of the outputs."""
        return [label.id for label in self.trained.labels]

    def classify(
        self,
        audio: Sequence[Audio],
        labels: Sequence[str] | None = None,
        merge: Mapping[str, Sequence[str]] | None = None,
        reject: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        batch_seconds: float = 60.0,
    ) -> list[Prediction]:
        """Classify utterances; a result does not depend on its batch.

        Arguments
        ---------
        audio
            Paths of audio files of any rate, waveforms [S] or [S, channels]
            of `sample_rate` Hz, or clips (:mod:`speechbrain_e2v.inference.\
clips`). The result has their order.
        labels
            Only these classes compete; their probabilities add up to 1.
        merge
            New class to the classes that are added up for it.
        reject
            Below this probability the label is None.
        batch_seconds
            Audio that is computed together.

        Raises
        ------
        AudioError
            Naming a file that cannot be used.
        ValueError
            For unknown classes, or audio shorter than 400 samples.
        """
        if is_alone(audio):
            raise ValueError(
                f"audio is one path ({audio}); give a list: [{str(audio)!r}]."
            )
        audio = list(audio)
        found = {}
        for index, outcome in self.outcomes(
            audio, labels, merge, reject, sample_rate, batch_seconds
        ):
            if isinstance(outcome, ValueError):
                raise outcome
            found[index] = outcome
        return [found[index] for index in range(len(audio))]

    def outcomes(
        self,
        audio: Sequence[Audio],
        labels: Sequence[str] | None = None,
        merge: Mapping[str, Sequence[str]] | None = None,
        reject: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        batch_seconds: float = 60.0,
    ) -> Iterator[tuple[int, Prediction | ValueError]]:
        """Like `classify`, but go on after files that cannot be used.

        Yields the index in `audio` and what came of it, longest first.
        """
        if reject is not None and not 0.0 <= reject <= 1.0:
            raise ValueError(f"reject is {reject}; give a probability, 0 to 1.")
        view = label_view(self.trained.labels, labels, merge)
        clips = clips_of(audio, sample_rate)
        lengths = measure(clips, MIN_SAMPLES)
        for index, length in enumerate(lengths):
            if isinstance(length, ValueError):  # AudioError too
                yield index, length
        batches = plan_batches(lengths, batch_seconds)
        for batch in read_batches(clips, batches, MIN_SAMPLES):
            usable = {}
            for index, waveform in batch.items():
                if isinstance(waveform, ValueError):
                    yield index, waveform
                else:
                    usable[index] = waveform
            if usable:
                names = [_source(clips[index]) for index in usable]
                predictions = self._predict(
                    list(usable.values()), names, view, reject
                )
                yield from zip(usable, predictions, strict=True)

    def _predict(
        self,
        waveforms: list[torch.Tensor],
        names: list[str],
        view: LabelView,
        reject: float | None,
    ) -> Iterator[Prediction]:
        rows, embeddings = self.trained.log_posteriors(waveforms)
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


def _source(clip: Clip) -> str:
    whole = (clip.start, clip.stop) == (None, None)
    return clip.source if whole else clip.name
