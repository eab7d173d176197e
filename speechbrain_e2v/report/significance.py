"""Is one encoder better than another on the same utterances?

Utterances of one speaker are right or wrong together, so speakers are what is
drawn. The interval draws speakers with replacement. The p value swaps the two
encoders' predictions of whole speakers: if neither is better, swapping
changes nothing but chance. All ``2 ** S`` ways are tried for few speakers.
:func:`mcnemar` counts utterances instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, permutation_test

from speechbrain_e2v.downstream.regression.intervals import (
    moment_columns,
    scores_of_moments,
)
from speechbrain_e2v.downstream.regression.metrics import CORRELATIONS, Scale
from speechbrain_e2v.metrics import SCORES, scores_of_confusions
from speechbrain_e2v.report.predictions import Predictions

_SWAPS = 2**14  # all of them for fourteen speakers or fewer
_DRAWS = 4000
_WEIGHTS = 4_000_000  # of speakers, held at once


@dataclass(frozen=True)
class PairedDifference:
    """Points, their 95 % interval (``None`` of one speaker), two-sided p."""

    difference: float
    interval95: tuple[float, float] | None
    p: float
    speakers: int


@dataclass(frozen=True)
class McNemar:
    """Utterances of which one side alone is right, and the exact p."""

    first_only: int
    second_only: int
    p: float


def paired_difference(
    first: Predictions, second: Predictions, metric: str = "wa"
) -> PairedDifference:
    """How much better the first is, pooled over folds and seeds.

    The number of seeds may differ. Raises ValueError for an unknown metric,
    other utterances or other references.

    >>> one = {"id": ["a", "b"], "speaker": ["1", "2"],
    ...        "reference": ["x", "y"], "predicted": ["x", "y"]}
    >>> other = {**one, "predicted": ["x", "x"]}
    >>> paired_difference(one, other).difference
    50.0
    """
    if metric not in SCORES:
        raise ValueError(f"metric is {metric!r}; there are {SCORES}")
    _check_pairs(first, second, ["reference"])
    classes = sorted({*first["reference"], *first["predicted"],
                      *second["predicted"]})  # fmt: skip
    names = sorted(set(first["speaker"]))
    ours, theirs = (  # confusions [S, C, C]
        _confusions(side, classes, names).astype(np.float64)
        for side in (first, second)
    )
    # Runs with several seeds must not weigh more than runs with one.
    theirs *= ours.sum() / theirs.sum()
    return _swapped(ours, theirs, lambda x: scores_of_confusions(x)[metric])


def paired_rating_difference(
    first: Predictions,
    second: Predictions,
    scales: Mapping[str, Scale],
    metric: str = "mae",
) -> PairedDifference:
    """The same of ratings: ``ccc``, ``pearson`` or ``mae``, mean over targets.

    A positive difference means that the first is better: of ``mae``, by how
    much its errors are smaller. Raises ValueError as
    :func:`paired_difference`.

    >>> one = {"id": ["a", "b"], "speaker": ["1", "2"],
    ...        "reference(x)": ["1", "4"], "predicted(x)": ["1", "4"]}
    >>> other = {**one, "predicted(x)": ["2", "2"]}
    >>> paired_rating_difference(one, other, {"x": (1, 5)}).difference
    1.5
    """
    if metric not in CORRELATIONS:
        raise ValueError(f"metric is {metric!r}; there are {CORRELATIONS}")
    _check_pairs(first, second, [f"reference({name})" for name in scales])
    owner = {name: i for i, name in enumerate(sorted(set(first["speaker"])))}
    centres = [
        float(np.mean(np.array(first[f"reference({name})"], dtype=float)))
        for name in scales
    ]
    ours, theirs = (  # sums [S, n, 7]
        _moments(side, scales, centres, owner) for side in (first, second)
    )
    theirs *= ours[:, :, 0].sum() / theirs[:, :, 0].sum()
    sign = -1 if metric == "mae" else 1

    def score(sums: NDArray) -> NDArray:  # [R, n, 7] -> [R]
        each = [
            scores_of_moments(sums[:, i], np.full(2, centre))[metric]
            for i, centre in enumerate(centres)
        ]
        return sign * np.mean(each, axis=0)

    return _swapped(ours, theirs, score)


def _swapped(
    ours: NDArray, theirs: NDArray, score: Callable[[NDArray], NDArray]
) -> PairedDifference:
    """Of sums [S, ...] over each speaker's utterances, on both sides.

    ``score`` takes sums of R choices of speakers [R, ...] and gives [R].
    """
    count = len(ours)

    def difference(kept, swapped):  # weights of speakers [R, S] -> [R]
        def mixed(one, other):
            return score(
                np.tensordot(kept, one, 1) + np.tensordot(swapped, other, 1)
            )

        return mixed(ours, theirs) - mixed(theirs, ours)

    ones, zeros = np.ones((1, count)), np.zeros((1, count))
    observed = float(difference(ones, zeros)[0])
    if count == 1:  # to swap all there is changes nothing
        return PairedDifference(observed, None, 1.0, count)
    drawn = np.random.default_rng(0).multinomial(
        count, np.full(count, 1 / count), size=_DRAWS
    )
    low, high = np.percentile(
        difference(drawn.astype(np.float64), np.zeros(drawn.shape)), (2.5, 97.5)
    ).tolist()

    def size(kept, swapped, axis):
        shape = kept.shape[:-1]
        found = difference(kept.reshape(-1, count), swapped.reshape(-1, count))
        # What differs by the order of a sum alone is no more extreme.
        return np.abs(found).round(9).reshape(shape)

    # What scipy exchanges within a speaker is the one and the zero.
    test = permutation_test(
        (ones[0], zeros[0]),
        size,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_SWAPS,
        batch=max(1, _WEIGHTS // count),
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return PairedDifference(observed, (low, high), float(test.pvalue), count)


def mcnemar(first: Predictions, second: Predictions) -> McNemar:
    """The exact test of McNemar (1947): each utterance counts once.

    Of several seeds, or several folds with the same utterance, the side counts
    that is right more often, as a share of its predictions. Raises ValueError
    as :func:`paired_difference`.

    >>> one = {"id": ["a", "b"], "speaker": ["1", "2"],
    ...        "reference": ["x", "y"], "predicted": ["x", "y"]}
    >>> mcnemar(one, {**one, "predicted": ["x", "x"]})
    McNemar(first_only=1, second_only=0, p=1.0)
    """
    _check_pairs(first, second, ["reference"])
    names = sorted(set(first["id"]))
    ours, theirs = (_shares_right(side, names) for side in (first, second))
    better, worse = int((ours > theirs).sum()), int((ours < theirs).sum())
    p = 1.0
    if better + worse:
        p = float(binomtest(better, better + worse).pvalue)
    return McNemar(better, worse, p)


def holm(values: Sequence[float]) -> list[float]:
    """p values of one table by Holm (1979), in their order.

    Below a level of 5 %, the chance that any of them is there by chance is
    below 5 %.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    found = np.asarray(values, dtype=np.float64)
    order = np.argsort(found)
    factors = np.arange(len(found), 0, -1)
    adjusted = np.empty_like(found)
    adjusted[order] = np.maximum.accumulate(found[order] * factors)
    return np.minimum(adjusted, 1.0).tolist()


def _shares_right(side: Predictions, names: Sequence[str]) -> NDArray:
    """Share of its predictions that are right, of each utterance."""
    index = {name: i for i, name in enumerate(names)}
    places = [index[name] for name in side["id"]]
    right = [
        reference == predicted
        for reference, predicted in zip(
            side["reference"], side["predicted"], strict=True
        )
    ]
    return np.bincount(places, weights=right) / np.bincount(places)


def _moments(
    side: Predictions,
    scales: Mapping[str, Scale],
    centres: Sequence[float],
    owner: Mapping[str, int],
) -> NDArray:
    columns = [
        moment_columns(
            np.array(side[f"reference({name})"], dtype=float),
            np.array(side[f"predicted({name})"], dtype=float),
            np.full(2, centre),
        )
        for name, centre in zip(scales, centres, strict=True)
    ]
    sums = np.zeros((len(owner), len(scales), len(columns[0])))
    places = [owner[name] for name in side["speaker"]]
    np.add.at(sums, places, np.stack(columns).transpose(2, 0, 1))
    return sums


def _confusions(
    side: Predictions, classes: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    """Confusions of each speaker [S, C, C]."""
    index = {name: i for i, name in enumerate(classes)}
    owner = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(classes), len(classes)), dtype=np.int64)
    np.add.at(
        counts,
        (
            [owner[name] for name in side["speaker"]],
            [index[name] for name in side["reference"]],
            [index[name] for name in side["predicted"]],
        ),
        1,
    )
    return counts


def _check_pairs(
    first: Predictions, second: Predictions, references: Sequence[str]
) -> None:
    columns = ("id", "speaker", *references)
    one, other = (
        set(zip(*(side[name] for name in columns), strict=True))
        for side in (first, second)
    )
    if one != other:
        odd = sorted(one ^ other)
        raise ValueError(
            f"{len(odd)} utterances are not in both runs with the same label "
            f"and speaker, such as {odd[0][0]}; compare runs of one corpus "
            "and one protocol"
        )
