"""Scores of regressions.

=======  ========================================================
ccc      concordance correlation coefficient (Lin, 1989), [-1, 1]
pearson  linear correlation, [-1, 1]
mae      mean absolute error, in units of the scale
=======  ========================================================

A correlation of what does not vary is no number; ``ccc`` and ``pearson`` are
0 then, as nothing of the reference is explained. Values that are not finite
are refused. ``sentiment_metrics`` adds those of sentiment.
"""

import numpy as np

CORRELATIONS = ("ccc", "pearson", "mae")
"""Scores of every target."""

_ROUNDING = 1e-12  # of the largest value: less variation is none


def checked_values(reference, predicted):
    """Both as float64 arrays [N].

    Arguments
    ---------
    reference, predicted : sequence of float
        One value per utterance.

    Returns
    -------
    tuple of numpy.ndarray

    Raises
    ------
    ValueError
        For lists of different length, none at all, or a value that is not
        finite.

    Example
    -------
    >>> checked_values([1, 2], [2, 2])[0].dtype
    dtype('float64')
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


def pearson(reference, predicted):
    """Linear correlation; 0 when one of the two does not vary.

    Arguments
    ---------
    reference, predicted : sequence of float
        One value per utterance.

    Returns
    -------
    float

    Example
    -------
    >>> pearson([1, 2, 3], [10, 20, 30]), pearson([1, 2, 3], [5, 5, 5])
    (1.0, 0.0)
    """
    return float(correlations(*_moments(reference, predicted))["pearson"])


def ccc(reference, predicted):
    """Concordance correlation coefficient; 0 when nothing varies.

    Arguments
    ---------
    reference, predicted : sequence of float
        One value per utterance.

    Returns
    -------
    float

    Example
    -------
    >>> ccc([1, 2, 3], [1, 2, 3]), round(ccc([1, 2, 3], [2, 3, 4]), 4)
    (1.0, 0.5714)
    """
    return float(correlations(*_moments(reference, predicted))["ccc"])


def _moments(reference, predicted):
    """Moments as :func:`correlations` takes them."""
    reference, predicted = checked_values(reference, predicted)
    # Around the reference's mean: a large offset would cost digits.
    mean = (predicted - reference.mean()).mean()
    left, right = _centred(reference), _centred(predicted)
    moments = (left**2).mean(), (right**2).mean(), (left * right).mean()
    return 0.0, mean, *moments


def _centred(values):
    if np.ptp(values) <= _ROUNDING * np.abs(values).max():
        return np.zeros_like(values)
    return values - values.mean()


def correlations(mean_a, mean_b, var_a, var_b, covariance):
    """``pearson`` and ``ccc`` of first and second moments.

    Arguments
    ---------
    mean_a, mean_b, var_a, var_b, covariance : float or numpy.ndarray
        Moments over N, not N - 1.

    Returns
    -------
    dict
        Name to value; 0 where the denominator is 0.

    Example
    -------
    >>> correlations(0.0, 0.0, 0.0, 1.0, 0.0)["pearson"].item()
    0.0
    """
    product = np.sqrt(np.multiply(var_a, var_b))
    total = var_a + var_b + np.square(np.subtract(mean_a, mean_b))
    return {
        "pearson": np.clip(_ratio(covariance, product), -1.0, 1.0),
        "ccc": _ratio(np.multiply(2.0, covariance), total),
    }


def _ratio(numerator, denominator):
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    zeros = np.zeros(denominator.shape)
    return np.divide(numerator, denominator, out=zeros, where=denominator > 0)
