"""Intervals of regression scores, by drawing speakers again.

As :func:`speechbrain_e2v.metrics.speaker_intervals`: utterances of one speaker
go together. Correlations come from sums of each speaker, so that thousands of
draws are one matrix product.
"""

import numpy as np

from speechbrain_e2v.downstream.regression.metrics import (
    CORRELATIONS,
    correlations,
)
from speechbrain_e2v.downstream.regression.sentiment_metrics import (
    has_polarity,
    has_zero_classes,
    non_zero_classes,
    steps,
    steps_name,
)
from speechbrain_e2v.metrics import speaker_intervals

_PERCENTILES = (2.5, 97.5)


def rating_intervals(
    reference, predicted, speakers, scales, draws=2000, seed=0
):
    """95 % percentile intervals when speakers are drawn with replacement.

    Arguments
    ---------
    reference, predicted : numpy.ndarray
        [N, n], targets in the order of ``scales``.
    speakers : sequence of str
        Speaker of each utterance.
    scales : mapping of str to tuple of float
        Lowest and highest rating by name.
    draws : int
        How often the speakers are drawn.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict or None
        ``{score: [low, high]}``; ``None`` for fewer than two speakers.

    Example
    -------
    >>> values = np.array([[1.0], [2.0], [1.0], [2.0]])
    >>> rating_intervals(values, values, "aabb", {"x": (1, 5)})["mae_x"]
    [0.0, 0.0]
    """
    names, owner = np.unique(np.asarray(list(speakers)), return_inverse=True)
    if len(names) < 2:
        return None
    times = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=draws
    )
    drawn = {
        name: drawn_scores(reference[:, i], predicted[:, i], owner, times)
        for i, name in enumerate(scales)
    }
    values = {
        score: np.mean([scores[score] for scores in drawn.values()], axis=0)
        for score in CORRELATIONS
    } | {
        f"{score}_{name}": scores[score]
        for name, scores in drawn.items()
        for score in CORRELATIONS
    }
    intervals = {
        name: np.percentile(value, _PERCENTILES).tolist()
        for name, value in values.items()
    }
    for i, (name, scale) in enumerate(scales.items()):
        if has_polarity(scale):
            pair = reference[:, i], predicted[:, i]
            found = _of_classes(*pair, speakers, scale, draws, seed)
            intervals |= {f"{k}_{name}": v for k, v in found.items()}
    return intervals


def drawn_scores(reference, predicted, owner, times):
    """CCC, correlation and error of each draw.

    Arguments
    ---------
    reference, predicted : numpy.ndarray
        [N].
    owner : numpy.ndarray
        Speaker of each utterance, integers [N].
    times : numpy.ndarray
        How often each draw has each speaker [R, S].

    Returns
    -------
    dict
        Score name to numpy.ndarray [R].

    Example
    -------
    >>> x, y = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0])
    >>> drawn_scores(x, y, np.array([0, 0, 1]), np.array([[1, 1]]))["mae"]
    array([0.66666667])
    """
    # Around the means: sums of squares lose no digits to an offset.
    a, b = reference - reference.mean(), predicted - predicted.mean()
    error = np.abs(reference - predicted)
    columns = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b, error])
    each = np.zeros((times.shape[1], len(columns)))
    np.add.at(each, owner, columns.T)
    count, *sums = (times @ each).T
    mean_a, mean_b, square_a, square_b, product, error = (
        x / count for x in sums
    )
    found = correlations(
        mean_a + reference.mean(),
        mean_b + predicted.mean(),
        np.maximum(square_a - mean_a**2, 0.0),
        np.maximum(square_b - mean_b**2, 0.0),
        product - mean_a * mean_b,
    )
    return {**found, "mae": error}


def _of_classes(reference, predicted, speakers, scale, draws, seed):
    whole = round(scale[1] - scale[0]) + 1
    speakers = np.asarray(list(speakers))
    *signs, kept = non_zero_classes(reference, predicted)
    tasks = {
        "has_zero": (*has_zero_classes(reference, predicted), speakers, 2),
        "non_zero": (*signs, speakers[kept], 2),
    }
    found = {}
    for name, task in tasks.items():
        intervals = speaker_intervals(*task, draws, seed)
        if intervals is not None:
            found[f"acc2_{name}"] = intervals["wa"]
            found[f"wf1_{name}"] = intervals["wf1"]
    step = [steps(values, scale) for values in (reference, predicted)]
    intervals = speaker_intervals(*step, speakers, whole, draws, seed)
    return {**found, steps_name(scale): intervals["wa"]}
