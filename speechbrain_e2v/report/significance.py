"""Is one encoder better than another on the same utterances?

Utterances of one speaker are right or wrong together, so speakers are what is
drawn. The interval draws speakers with replacement. The p value swaps the two
encoders' predictions of whole speakers: if neither is better, swapping
changes nothing but chance. All ``2 ** S`` ways are tried for few speakers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import permutation_test

from speechbrain_e2v.metrics import SCORES, scores_of_confusions
from speechbrain_e2v.report.predictions import Predictions

_SWAPS = 4096  # all of them for twelve speakers or fewer
_DRAWS = 4000


@dataclass(frozen=True)
class PairedDifference:
    """Points, their 95 % interval (``None`` of one speaker), two-sided p."""

    difference: float
    interval95: tuple[float, float] | None
    p: float
    speakers: int


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
    _check_pairs(first, second)
    classes = sorted({*first["reference"], *first["predicted"],
                      *second["predicted"]})  # fmt: skip
    names = sorted(set(first["speaker"]))
    count = len(names)
    ours, theirs = (  # confusions [S, C, C]
        _confusions(side, classes, names).astype(np.float64)
        for side in (first, second)
    )
    # Runs with several seeds must not weigh more than runs with one.
    theirs *= ours.sum() / theirs.sum()

    def difference(kept, swapped):  # weights of speakers [R, S] -> [R]
        def score(one, other):
            return scores_of_confusions(
                np.einsum("rs,sij->rij", kept, one)
                + np.einsum("rs,sij->rij", swapped, other)
            )[metric]

        return score(ours, theirs) - score(theirs, ours)

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
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return PairedDifference(observed, (low, high), float(test.pvalue), count)


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


def _check_pairs(first: Predictions, second: Predictions) -> None:
    columns = ("id", "speaker", "reference")
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
