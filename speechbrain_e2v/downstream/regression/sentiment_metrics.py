"""Scores of sentiment: of a scale with both signs, such as [-3, 3].

=============  ===================================================
acc2_has_zero  accuracy of "negative or not", percent of all
wf1_has_zero   weighted F1 of the same
acc2_non_zero  accuracy of the sign, percent of references not zero
wf1_non_zero   weighted F1 of the same
acc7           accuracy of whole steps of [-3, 3], percent
=============  ===================================================

The literature reports the accuracy of two classes in either way, often
without saying which. Whole steps: values outside the scale are set to its
ends, then all are rounded, halves to even, as numpy rounds.
"""

import numpy as np
from sklearn.metrics import mean_absolute_error

from speechbrain_e2v.downstream.regression.metrics import (
    ccc,
    checked_values,
    pearson,
)
from speechbrain_e2v.metrics import weighted_accuracy, weighted_f1

POLARITY = (
    "acc2_has_zero",
    "wf1_has_zero",
    "acc2_non_zero",
    "wf1_non_zero",
)
"""Scores of two classes; :func:`steps_name` is that of whole steps."""


def has_polarity(scale):
    """Whether a scale has both signs.

    Example
    -------
    >>> has_polarity((-3, 3)), has_polarity((1, 5))
    (True, False)
    """
    return scale[0] < 0 < scale[1]


def steps_name(scale):
    """Name of the accuracy of whole steps.

    Example
    -------
    >>> steps_name((-3, 3))
    'acc7'
    """
    return f"acc{round(scale[1] - scale[0]) + 1}"


def has_zero_classes(reference, predicted):
    """1 where not negative, else 0.

    Arguments
    ---------
    reference, predicted : sequence of float
        One value per utterance.

    Returns
    -------
    tuple of numpy.ndarray
        Of the reference and of the prediction.

    Example
    -------
    >>> has_zero_classes([0.0, -1.0], [-0.1, -2.0])[0].tolist()
    [1, 0]
    """
    return tuple(
        (values >= 0).astype(np.int64)
        for values in checked_values(reference, predicted)
    )


def non_zero_classes(reference, predicted):
    """1 where positive, else 0, of references that are not zero.

    Arguments
    ---------
    reference, predicted : sequence of float
        One value per utterance.

    Returns
    -------
    tuple of numpy.ndarray
        Classes of the reference, of the prediction, and which utterances
        these are (bool [N]).

    Raises
    ------
    ValueError
        When every reference is zero.

    Example
    -------
    >>> non_zero_classes([0.0, -1.0, 2.0], [1.0, 0.0, 0.1])[1].tolist()
    [0, 1]
    """
    reference, predicted = checked_values(reference, predicted)
    kept = reference != 0
    if not kept.any():
        raise ValueError(
            f"all {len(reference)} references are zero: there is no sign to "
            "score"
        )
    pair = ((x[kept] > 0).astype(np.int64) for x in (reference, predicted))
    return *pair, kept


def steps(values, scale):
    """Whole steps of a scale, from 0.

    Arguments
    ---------
    values : sequence of float
        Any.
    scale : tuple of float
        Whole numbers, lowest and highest.

    Returns
    -------
    numpy.ndarray
        Integers [N] between 0 and highest - lowest.

    Example
    -------
    >>> steps([-9.0, -0.4, 0.5, 1.5, 3.2], (-3, 3)).tolist()
    [0, 3, 3, 5, 6]
    """
    low, high = scale
    return (np.round(np.clip(values, low, high)) - low).astype(np.int64)


def target_scores(reference, predicted, scale):
    """Every score of one target.

    Arguments
    ---------
    reference, predicted : sequence of float
        One value per utterance.
    scale : tuple of float
        Lowest and highest rating; one with both signs has a polarity.

    Returns
    -------
    dict

    Example
    -------
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
