"""Classes as what is predicted."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from speechbrain_e2v.downstream.targets import Intervals, Scores
from speechbrain_e2v.metrics import (
    SCORES,
    all_scores,
    confusion_matrix,
    speaker_intervals,
)


class ClassTargets:
    """Classes in the order of the outputs, and the class of each utterance.

    >>> targets = ClassTargets(("sad", "happy"), {"a": 1})
    >>> targets.entries(["a"], torch.tensor([[0.25, 0.75]]))["predicted"]
    [1]
    """

    trainer_key = "classifier"
    names_key = "classes"

    def __init__(
        self, classes: Sequence[str], truth: Mapping[str, int] | None = None
    ) -> None:
        self.names = tuple(classes)
        self.truth = dict(truth or {})

    def entries(self, tested: Sequence[str], outputs: torch.Tensor) -> dict:
        """Of ``result.json``; ``outputs`` are probabilities [N, C]."""
        reference = [self.truth[name] for name in tested]
        predicted = outputs.argmax(dim=1).tolist()
        return {
            "scores": all_scores(reference, predicted),
            "reference": reference,
            "predicted": predicted,
            "posteriors": [
                [round(p, 6) for p in row] for row in outputs.tolist()
            ],
        }

    def scores(self, reference: Sequence, predicted: Sequence) -> Scores:
        """In percent."""
        scores = all_scores(reference, predicted)
        return {name: scores[name] for name in SCORES}

    def intervals(
        self, reference: Sequence, predicted: Sequence, speakers: Sequence[str]
    ) -> Intervals | None:
        """95 % of each score when speakers are drawn again."""
        return speaker_intervals(
            reference, predicted, speakers, len(self.names)
        )

    def counts(self, first: list[dict], runs: list[dict]) -> dict:
        """Confusion, summed over seeds, and utterances tested, of one seed."""
        size = len(self.names)
        confusion = sum(
            confusion_matrix(run["reference"], run["predicted"], size)
            for run in runs
        )
        tested = [code for run in first for code in run["reference"]]
        counts = np.bincount(tested, minlength=size).tolist()
        return {
            "confusion": np.asarray(confusion).tolist(),
            "counts": dict(zip(self.names, counts, strict=True)),
        }

    def decimals(self, score: str) -> int:
        """Two, of percent."""
        return 2

    def columns(self) -> list[str]:
        """Of ``predictions.csv``."""
        return ["reference", "predicted", *(f"p({n})" for n in self.names)]

    def rows(self, run: Mapping) -> Iterator[list]:
        """Names of the classes and the probabilities."""
        for reference, predicted, posterior in zip(
            run["reference"], run["predicted"], run["posteriors"], strict=True
        ):
            classes = [self.names[reference], self.names[predicted]]
            yield classes + [round(p, 6) for p in posterior]
