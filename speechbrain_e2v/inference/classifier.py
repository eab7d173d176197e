"""Emotions of utterances."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import torch

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.inference.classifier_folder import (
    DESCRIPTION,
    read_classifier,
)
from speechbrain_e2v.inference.clips import (
    Audio,
    Clip,
    clip_of,
    listed,
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
    `label` the class, as SpeechBrain's own class names it, None when the best
    one was rejected; `published` the published string of that class; `score`
    the probability of the best class, rejected or not; `scores` that of every
    class shown; `embedding` [D] the mean over the encoder's frames. `error`
    says why there is none of this.
    """

    source: str
    label: str | None = None
    published: str | None = None
    score: float = math.nan
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = math.nan
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(0))
    error: ValueError | None = None


class EmotionClassifier:
    """Classifies files and arrays, several at a time.

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
    >>> prediction = classifier.classify(torch.randn(16000),
    ...                                  labels=["angry", "sad"])
    >>> round(sum(prediction.scores.values()), 4), list(prediction.scores)
    (1.0, ['anger', 'sadness'])
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
        """Names of the classes, as SpeechBrain's own class gives them."""
        return [label.text for label in self.trained.labels]

    @overload  # a str is a sequence of str
    def classify(  # type: ignore[overload-overlap]
        self,
        audio: Audio,
        labels: Sequence[str] | None = None,
        merge: Mapping[str, Sequence[str]] | None = None,
        reject: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        batch_seconds: float = 60.0,
        progress: bool = False,
    ) -> Prediction: ...

    @overload
    def classify(
        self,
        audio: Sequence[Audio],
        labels: Sequence[str] | None = None,
        merge: Mapping[str, Sequence[str]] | None = None,
        reject: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        batch_seconds: float = 60.0,
        progress: bool = False,
    ) -> list[Prediction]: ...

    def classify(
        self,
        audio: Audio | Sequence[Audio],
        labels: Sequence[str] | None = None,
        merge: Mapping[str, Sequence[str]] | None = None,
        reject: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        batch_seconds: float = 60.0,
        progress: bool = False,
    ) -> Prediction | list[Prediction]:
        """Classify utterances; a result does not depend on its batch.

        Arguments
        ---------
        audio
            A path of an audio file of any rate, a waveform [S] or [S,
            channels] of `sample_rate` Hz, or a clip (:mod:`speechbrain_e2v.\
inference.clips`), or several; a single one gives a single result, several a
            list in their order, in which what cannot be used has an `error`.
        labels
            Only these classes compete; their probabilities add up to 1.
        merge
            New class to the classes that are added up for it.
        reject
            Below this probability the label is None.
        batch_seconds
            Audio that is computed together.

        Raises ValueError for unknown classes; an AudioError or another one for
        a single file or waveform that cannot be used.
        """
        several, alone = listed(audio)
        outcomes = self.outcomes(
            several, labels, merge, reject, sample_rate, batch_seconds
        )
        found = {}
        for index, outcome in progress_bar(
            outcomes, total=len(several), unit="utt", disable=not progress
        ):
            if isinstance(outcome, Prediction):
                found[index] = outcome
            elif alone:
                raise outcome
            else:
                source = _source(several[index], index)
                found[index] = Prediction(source, error=outcome)
        ordered = [found[index] for index in range(len(several))]
        return ordered[0] if alone else ordered

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
        clips, places = [], []
        for index, item in enumerate(audio):
            try:
                clips.append(clip_of(item, sample_rate, f"array {index}"))
                places.append(index)
            except ValueError as error:
                yield index, error
        lengths = measure(clips, MIN_SAMPLES)
        for index, length in zip(places, lengths, strict=True):
            if isinstance(length, ValueError):  # AudioError too
                yield index, length
        batches = plan_batches(lengths, batch_seconds)
        for batch in read_batches(clips, batches, MIN_SAMPLES):
            usable = {}
            for place, waveform in batch.items():
                if isinstance(waveform, ValueError):
                    yield places[place], waveform
                else:
                    usable[place] = waveform
            if usable:
                names = [
                    _source(clips[place], places[place]) for place in usable
                ]
                outcomes = self._predict(
                    list(usable.values()), names, view, reject
                )
                for place, outcome in zip(usable, outcomes, strict=True):
                    yield places[place], outcome

    def _predict(
        self,
        waveforms: list[torch.Tensor],
        names: list[str],
        view: LabelView,
        reject: float | None,
    ) -> Iterator[Prediction | ValueError]:
        rows, embeddings = self.trained.log_posteriors(waveforms)
        table = view.probabilities(rows.double()).cpu()
        for name, wav, scores, embedding in zip(
            names, waveforms, table, embeddings.cpu(), strict=True
        ):
            if not (scores.isfinite().all() and embedding.isfinite().all()):
                yield ValueError(
                    f"{name}: the scores are not finite; check this audio, "
                    "and get the classifier again from where it was written"
                )
                continue
            score, best = scores.max(dim=0)
            kept = reject is None or float(score) >= reject
            yield Prediction(
                name,
                view.names[best] if kept else None,
                view.published[best] if kept else None,
                float(score),
                dict(zip(view.names, scores.tolist(), strict=True)),
                len(wav) / SAMPLE_RATE,
                embedding.float().numpy(),  # of bfloat16, under autocast
            )


def _source(item: Audio, index: int) -> str:
    if isinstance(item, (str, Path)):
        return str(item)
    if not isinstance(item, Clip):
        return f"array {index}"
    whole = (item.start, item.stop) == (None, None)
    return item.source if whole else item.name
