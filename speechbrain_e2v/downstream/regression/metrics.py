"""Scores of regressions, and of sentiment: of a scale with both signs.

=============  ========================================================
ccc            concordance correlation coefficient (Lin, 1989), [-1, 1]
pearson        linear correlation, [-1, 1]
mae            mean absolute error, in units of the scale
acc2_has_zero  accuracy of "negative or not", percent of all
wf1_has_zero   weighted F1 of the same
acc2_non_zero  accuracy of the sign, percent of references not zero
wf1_non_zero   weighted F1 of the same
acc7           accuracy of whole steps of [-3, 3], percent
=============  ========================================================

A correlation of what does not vary is no number; ``ccc`` and ``pearson`` are
0 then, as nothing of the reference is explained. Values that are not finite
are refused. The literature reports the accuracy of two classes in either way,
often without saying which. Whole steps: values outside the scale are set to
its ends, then all are rounded, halves to even, as numpy rounds.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import mean_absolute_error

from speechbrain_e2v.metrics import weighted_accuracy, weighted_f1

Scale = tuple[float, float]
"""Lowest and highest rating."""

CORRELATIONS = ("ccc", "pearson", "mae")
"""Scores of every target."""

POLARITY = ("acc2_has_zero", "wf1_has_zero", "acc2_non_zero", "wf1_non_zero")
"""Scores of two classes; :func:`steps_name` is that of whole steps."""

_ROUNDING = 1e-12  # of the largest value: less variation is none


def checked_values(
    reference: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray, NDArray]:
    """Both as float64 arrays [N].

    Raises ValueError for lists of different length, none at all, or a value
    that is not finite.
    """
    reference = np.asarray(reference, dtype=np.float64)
    predicted = np.asarray(predicted, dtype=np.float64)
    if reference.ndim != 1 or reference.shape != predicted.shape:
        raise ValueError(
            "`reference` and `predicted` must be two lists of equal length, "
            f"but are {reference.shape} and {predicted.shape}"
        )
    if not len(reference):
        raise ValueError("there are no utterances to score")
    for name, values in (("reference", reference), ("predicted", predicted)):
        strange = np.flatnonzero(~np.isfinite(values))
        if len(strange):
            raise ValueError(
                f"`{name}` has {len(strange)} values that are not finite, the "
                f"first is {values[strange[0]]} at {strange[0]}"
            )
    return reference, predicted


def pearson(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Linear correlation; 0 when one of the two does not vary.

    >>> pearson([1, 2, 3], [10, 20, 30]), pearson([1, 2, 3], [5, 5, 5])
    (1.0, 0.0)
    """
    return float(correlations(*_moments(reference, predicted))["pearson"])


def ccc(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Concordance correlation coefficient; 0 when nothing varies.

    >>> ccc([1, 2, 3], [1, 2, 3]), round(ccc([1, 2, 3], [2, 3, 4]), 4)
    (1.0, 0.5714)
    """
    return float(correlations(*_moments(reference, predicted))["ccc"])


def _moments(reference: ArrayLike, predicted: ArrayLike) -> tuple[float, ...]:
    reference, predicted = checked_values(reference, predicted)
    # Around the reference's mean: a large offset would cost digits.
    mean = (predicted - reference.mean()).mean()
    left, right = _centred(reference), _centred(predicted)
    moments = (left**2).mean(), (right**2).mean(), (left * right).mean()
    return 0.0, mean, *moments


def _centred(values: NDArray) -> NDArray:
    if np.ptp(values) <= _ROUNDING * np.abs(values).max():
        return np.zeros_like(values)
    return values - values.mean()


def correlations(
    mean_a: ArrayLike,
    mean_b: ArrayLike,
    var_a: ArrayLike,
    var_b: ArrayLike,
    covariance: ArrayLike,
) -> dict[str, NDArray]:
    """``pearson`` and ``ccc`` of moments over N; 0 for a denominator of 0.

    >>> correlations(0.0, 0.0, 0.0, 1.0, 0.0)["pearson"].item()
    0.0
    """
    product = np.sqrt(np.multiply(var_a, var_b))
    apart = np.square(np.subtract(mean_a, mean_b))
    total = np.add(var_a, var_b) + apart
    return {
        "pearson": np.clip(_ratio(covariance, product), -1.0, 1.0),
        "ccc": _ratio(np.multiply(2.0, covariance), total),
    }


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray:
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    zeros = np.zeros(denominator.shape)
    return np.divide(numerator, denominator, out=zeros, where=denominator > 0)


def has_polarity(scale: Scale) -> bool:
    """Whether a scale has both signs."""
    return scale[0] < 0 < scale[1]


def steps_name(scale: Scale) -> str:
    """Name of the accuracy of whole steps."""
    return f"acc{round(scale[1] - scale[0]) + 1}"


def has_zero_classes(
    reference: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray, NDArray]:
    """1 where not negative, else 0."""
    reference, predicted = checked_values(reference, predicted)
    return (reference >= 0).astype(int), (predicted >= 0).astype(int)


def non_zero_classes(
    reference: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray, NDArray, NDArray]:
    """1 where positive, else 0, of references not zero; and which these are.

    Raises ValueError when every reference is zero.
    """
    reference, predicted = checked_values(reference, predicted)
    kept = reference != 0
    if not kept.any():
        raise ValueError(
            f"all {len(reference)} references are zero: there is no sign to "
            "score"
        )
    pair = (reference[kept] > 0).astype(int), (predicted[kept] > 0).astype(int)
    return *pair, kept


def steps(values: ArrayLike, scale: Scale) -> NDArray:
    """Whole steps of a scale of whole numbers, from 0.

    >>> steps([-9.0, -0.4, 0.5, 1.5, 3.2], (-3, 3)).tolist()
    [0, 3, 3, 5, 6]
    """
    low, high = scale
    return (np.round(np.clip(values, low, high)) - low).astype(int)


def target_scores(
    reference: ArrayLike, predicted: ArrayLike, scale: Scale
) -> dict[str, float]:
    """Every score of one target; those of sentiment where it has a polarity.

    >>> scores = target_scores([-1.0, 2.0], [-1.4, 1.0], (-3, 3))
    >>> scores["acc2_non_zero"], scores["acc7"], list(scores)[:3]
    (100.0, 50.0, ['ccc', 'pearson', 'mae'])
    """
    scores = {
        "ccc": ccc(reference, predicted),
        "pearson": pearson(reference, predicted),
        "mae": float(mean_absolute_error(reference, predicted)),
    }
    if has_polarity(scale):
        first = has_zero_classes(reference, predicted)
        second = non_zero_classes(reference, predicted)[:2]
        whole = [steps(x, scale) for x in (reference, predicted)]
        scores |= {
            "acc2_has_zero": weighted_accuracy(*first),
            "wf1_has_zero": weighted_f1(*first),
            "acc2_non_zero": weighted_accuracy(*second),
            "wf1_non_zero": weighted_f1(*second),
            steps_name(scale): weighted_accuracy(*whole),
        }
    return scores
