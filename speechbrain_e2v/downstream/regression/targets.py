"""Ratings as what is predicted.

Scores of one target are called ``<score>_<target>``; ``ccc``, ``pearson`` and
``mae`` alone are means over the targets.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.regression.intervals import rating_intervals
from speechbrain_e2v.downstream.regression.metrics import (
    CORRELATIONS,
    Scale,
    target_scores,
)
from speechbrain_e2v.downstream.targets import Intervals, Scores

_TOLERANCE = 0.5
"""How far a rating may lie outside its scale: IEMOCAP has 0.5 and 5.5 on a
scale of 1 to 5. Further out, the files are not what they seem."""


class RatingTargets:
    """Scales by name, in the order of the outputs, and each one's ratings.

    >>> targets = RatingTargets({"arousal": (1, 5)}, {"a": [1.5]})
    >>> targets.entries(["a"], torch.tensor([[2.0]]))
    {'reference': [[1.5]], 'predicted': [[2.0]]}
    """

    trainer_key = "regressor"
    names_key = "targets"

    def __init__(
        self,
        scales: Mapping[str, Scale],
        truth: Mapping[str, list[float]] | None = None,
    ) -> None:
        self.scales = dict(scales)
        self.names = tuple(scales)
        self.truth = dict(truth or {})

    def entries(self, tested: Sequence[str], outputs: torch.Tensor) -> dict:
        """Of ``result.json``; ``outputs`` are ratings [N, n]."""
        return {
            "reference": [list(self.truth[name]) for name in tested],
            "predicted": outputs.tolist(),
        }

    def scores(self, reference: Sequence, predicted: Sequence) -> Scores:
        """Of every target, and means over the targets."""
        return rating_scores(reference, predicted, self.scales)

    def intervals(
        self, reference: Sequence, predicted: Sequence, speakers: Sequence[str]
    ) -> Intervals | None:
        """95 % of each score when speakers are drawn again."""
        pair = np.asarray(reference), np.asarray(predicted)
        return rating_intervals(*pair, speakers, self.scales)

    def speaker_scores(
        self, reference: Sequence, predicted: Sequence, speakers: Sequence[str]
    ) -> dict[str, list[float]]:
        """Errors: a correlation of few utterances says nothing."""
        errors = np.abs(np.asarray(reference) - np.asarray(predicted))  # [N, n]
        owner = np.unique(list(speakers), return_inverse=True)[1]
        sums = np.zeros((owner.max() + 1, len(self.names)))
        np.add.at(sums, owner, errors)
        means = sums / np.bincount(owner)[:, None]
        each = zip(self.names, means.T.tolist(), strict=True)
        found = {f"mae_{name}": values for name, values in each}
        return {"mae": means.mean(axis=1).tolist(), **found}

    def counts(self, first: list[dict], runs: list[dict]) -> dict:
        """Mean and deviation of the references of one seed."""
        tested = np.asarray([row for run in first for row in run["reference"]])
        return {
            "references": {
                name: {"mean": float(mean), "sd": float(sd)}
                for name, mean, sd in zip(
                    self.names, tested.mean(0), tested.std(0), strict=True
                )
            },
            "n_tested": len(tested),
        }

    def detail_lines(self, results: Mapping) -> list[str]:
        """Nothing: all is said in the table of scores."""
        return []

    def decimals(self, score: str) -> int:
        """See :func:`decimals`."""
        return decimals(score)

    def columns(self) -> list[str]:
        """Of ``predictions.csv``."""
        kinds = ("reference", "predicted")
        return [f"{kind}({name})" for name in self.names for kind in kinds]

    def rows(self, run: Mapping) -> Iterator[list]:
        """Reference and prediction of each target."""
        for reference, predicted in zip(
            run["reference"], run["predicted"], strict=True
        ):
            pairs = zip(reference, predicted, strict=True)
            yield [round(value, 6) for pair in pairs for value in pair]


def ratings_of(
    utterances: Sequence[Utterance], scales: Mapping[str, Scale]
) -> tuple[dict[str, list[float]], int]:
    """Ratings of each utterance id within their scales, and how many were not.

    Those outside are set to the end of the scale.

    Raises ValueError naming an utterance without a rating, or with one that is
    no number or more than half a unit outside.

    >>> row = Utterance("a", "a.wav", extra={"arousal": 5.5, "valence": 2.0})
    >>> ratings_of([row], {"arousal": (1, 5), "valence": (1, 5)})
    ({'a': [5.0, 2.0]}, 1)
    """
    ratings, outside = {}, 0
    for utterance in utterances:
        values = [_rating(utterance, name, scales[name]) for name in scales]
        inside = [
            min(max(value, float(low)), float(high))
            for value, (low, high) in zip(values, scales.values(), strict=True)
        ]
        outside += sum(a != b for a, b in zip(values, inside, strict=True))
        ratings[utterance.id] = inside
    return ratings, outside


def _rating(utterance: Utterance, name: str, scale: Scale) -> float:
    value = utterance.extra.get(name)
    low, high = scale
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # Of nan this is not true.
        if low - _TOLERANCE <= value <= high + _TOLERANCE:
            return float(value)
    raise ValueError(
        f"{utterance.id} ({utterance.wav}): {name} is {value!r}, on a scale of "
        f"{low:g} to {high:g}; correct its label file"
    )


def rating_scores(
    reference: ArrayLike, predicted: ArrayLike, scales: Mapping[str, Scale]
) -> Scores:
    """Every score of every target [N, n], and means over the targets.

    >>> scores = rating_scores([[1.0, 2.0], [3.0, 2.0]],
    ...     [[1.0, 2.0], [3.0, 3.0]], {"arousal": (1, 5), "valence": (1, 5)})
    >>> scores["ccc"], scores["ccc_arousal"], scores["mae_valence"]
    (0.5, 1.0, 0.5)
    """
    reference, predicted = np.asarray(reference), np.asarray(predicted)
    each = {
        name: target_scores(reference[:, i], predicted[:, i], scale)
        for i, (name, scale) in enumerate(scales.items())
    }
    means = {
        score: float(np.mean([scores[score] for scores in each.values()]))
        for score in CORRELATIONS
    }
    return means | {
        f"{score}_{name}": value
        for name, scores in each.items()
        for score, value in scores.items()
    }


def decimals(score: str) -> int:
    """Digits to show: correlations and errors three, percentages two.

    >>> decimals("ccc_arousal"), decimals("acc7_sentiment")
    (3, 2)
    """
    return 3 if score.split("_")[0] in CORRELATIONS else 2
