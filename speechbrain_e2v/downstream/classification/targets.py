"""Classes as what is predicted."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from speechbrain_e2v.downstream.targets import Intervals, Scores
from speechbrain_e2v.files.foreign_text import printable
from speechbrain_e2v.inference.calibration import expected_calibration_error
from speechbrain_e2v.metrics import (
    SCORES,
    all_scores,
    confusion_matrix,
    recalls,
    scores_of_confusions,
    speaker_confusions,
    speaker_intervals,
)

_BINS = 15


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

    def speaker_scores(
        self, reference: Sequence, predicted: Sequence, speakers: Sequence[str]
    ) -> dict[str, list[float]]:
        """Every score of each speaker, in order of name."""
        confusions = speaker_confusions(
            reference, predicted, speakers, len(self.names)
        )
        found = scores_of_confusions(confusions)
        return {name: found[name].tolist() for name in SCORES}

    def counts(self, first: list[dict], runs: list[dict]) -> dict:
        """What explains the scores.

        Confusion, and from it the recall of each class in percent, summed over
        seeds; utterances tested, of one seed; and where probabilities are
        known, their calibration over all folds and seeds. A class that is never
        tested has no recall.
        """
        size = len(self.names)
        confusion = sum(
            confusion_matrix(run["reference"], run["predicted"], size)
            for run in runs
        )
        tested = [code for run in first for code in run["reference"]]
        counts = np.bincount(tested, minlength=size).tolist()
        recall = recalls(np.asarray(confusion))
        found = {
            "confusion": np.asarray(confusion).tolist(),
            "counts": dict(zip(self.names, counts, strict=True)),
            "recall": {self.names[code]: value for code, value in recall},
        }
        if all("posteriors" in run for run in runs):
            found["calibration"] = _calibration(runs)
        return found

    def detail_lines(self, results: Mapping) -> list[str]:
        """Recall of every class, and calibration."""
        recall = "  ".join(
            f"{printable(n)} {v:.1f}" for n, v in results["recall"].items()
        )
        lines = [f"recall: {recall}"]
        if "calibration" in results:
            about = results["calibration"]
            lines.append(
                f"calibration: ECE {about['ece']:.1f} % over {about['bins']} "
                f"bins; confidence {about['confidence']:.1f}, WA "
                f"{about['wa']:.1f}"
            )
        return lines

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


def _calibration(runs: Sequence[Mapping]) -> dict:
    """How far probabilities can be believed, in percent.

    ``ece`` is the expected calibration error over ``bins`` of confidence of
    equal width (Guo et al. 2017); ``confidence`` the mean of the largest
    probability, which is more than ``wa`` where the classifier is too sure.
    """
    posteriors = torch.tensor([p for run in runs for p in run["posteriors"]])
    reference = [code for run in runs for code in run["reference"]]
    best = posteriors.max(dim=1)
    right = best.indices == torch.tensor(reference)
    error = expected_calibration_error(posteriors, reference, _BINS)
    return {
        "ece": 100 * error,
        "bins": _BINS,
        "confidence": 100 * float(best.values.double().mean()),
        "wa": 100 * float(right.double().mean()),
    }
