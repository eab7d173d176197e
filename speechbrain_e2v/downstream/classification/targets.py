"""Classes as what is predicted."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from speechbrain_e2v.downstream.classification.vote_scores import vote_scores
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

    ``votes`` has what annotators said, a count a class, of those utterances of
    which it is known; posteriors are compared with it.

    >>> targets = ClassTargets(("sad", "happy"), {"a": 1})
    >>> targets.entries(["a"], torch.tensor([[0.25, 0.75]]))["predicted"]
    [1]
    """

    trainer_key = "classifier"
    names_key = "classes"

    def __init__(
        self,
        classes: Sequence[str],
        truth: Mapping[str, int] | None = None,
        votes: Mapping[str, list[int]] | None = None,
    ) -> None:
        self.names = tuple(classes)
        self.truth: dict = dict(truth or {})
        self.codes: dict[str, int] = self.truth
        self.votes = dict(votes or {})

    def entries(self, tested: Sequence[str], outputs: torch.Tensor) -> dict:
        """Of ``result.json``; ``outputs`` are probabilities [N, C]."""
        reference = [self.codes[name] for name in tested]
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
        known, their calibration over all folds and seeds, and their distance
        from the votes, if there are any. A class that is never tested has no
        recall.
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
            found |= self._vote_entry(runs)
        return found

    def _vote_entry(self, runs: Sequence[Mapping]) -> dict:
        pairs = [
            (self.votes[name], posterior)
            for run in runs
            for name, posterior in zip(
                run["test"], run["posteriors"], strict=True
            )
            if name in self.votes
        ]
        if not pairs:
            return {}
        said, given = zip(*pairs, strict=True)
        tested = {name for run in runs for name in run["test"]}
        return {
            "votes": {
                "utterances": len(tested & self.votes.keys()),
                "without": len(tested - self.votes.keys()),
                **vote_scores(said, given),
            }
        }

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
        if "votes" in results:
            about = results["votes"]
            lines.append(
                f"votes of {about['utterances']} utterances: NLL "
                f"{about['nll']:.3f}, KL {about['kl']:.3f}, JS "
                f"{about['js']:.3f}, Brier {about['brier']:.3f}"
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


class VoteTargets(ClassTargets):
    """The same classes for trainers that learn distributions.

    ``truth`` has the label and the votes for each class, one for the label
    where nobody voted; scores are those of the label all the same.

    >>> targets = VoteTargets(("sad", "happy"), {"a": 1, "b": 0}, {"a": [1, 2]})
    >>> targets.truth, targets.codes
    ({'a': (1, [1, 2]), 'b': (0, [1, 0])}, {'a': 1, 'b': 0})
    """

    def __init__(
        self,
        classes: Sequence[str],
        truth: Mapping[str, int],
        votes: Mapping[str, list[int]],
    ) -> None:
        super().__init__(classes, truth, votes)
        labels = np.eye(len(self.names), dtype=int).tolist()
        self.truth = {
            name: (code, self.votes.get(name, labels[code]))
            for name, code in self.codes.items()
        }


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
