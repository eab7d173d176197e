"""Intervals of regression scores, by drawing speakers again.

As :func:`speechbrain_e2v.metrics.speaker_intervals`: utterances of one speaker
go together. Correlations come from sums of each speaker, so that thousands of
draws are a few products.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from speechbrain_e2v.downstream.regression.metrics import (
    CORRELATIONS,
    Scale,
    correlations,
    has_polarity,
    has_zero_classes,
    non_zero_classes,
    steps,
    steps_name,
)
from speechbrain_e2v.metrics import drawn_intervals, speaker_intervals


def rating_intervals(
    reference: NDArray,
    predicted: NDArray,
    speakers: Sequence[str],
    scales: Mapping[str, Scale],
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, list[float]] | None:
    """95 % percentile intervals when speakers are drawn with replacement.

    ``reference`` and ``predicted`` are [N, n], targets in the order of
    ``scales``. ``None`` for fewer than two speakers.

    >>> values = np.array([[1.0], [2.0], [1.0], [2.0]])
    >>> rating_intervals(values, values, "aabb", {"x": (1, 5)})["mae_x"]
    [0.0, 0.0]
    """
    voices = np.asarray(list(speakers))
    owner = np.unique(voices, return_inverse=True)[1]
    centres = np.stack([reference.mean(axis=0), predicted.mean(axis=0)])
    columns = [
        moment_columns(reference[:, i], predicted[:, i], centres[:, i])
        for i in range(len(scales))
    ]
    sums = np.zeros((owner.max() + 1, len(scales), len(columns[0])))
    np.add.at(sums, owner, np.stack(columns).transpose(2, 0, 1))

    def scores_of(drawn: NDArray) -> dict[str, NDArray]:  # [R, n, 7]
        each = [
            scores_of_moments(drawn[:, i], centres[:, i])
            for i in range(len(scales))
        ]
        means = {k: np.mean([s[k] for s in each], axis=0) for k in CORRELATIONS}
        return means | {
            f"{score}_{name}": scores[score]
            for name, scores in zip(scales, each, strict=True)
            for score in CORRELATIONS
        }

    intervals = drawn_intervals(sums, scores_of, draws, seed)
    if intervals is None:
        return None
    for i, (name, scale) in enumerate(scales.items()):
        if has_polarity(scale):
            pair = reference[:, i], predicted[:, i]
            found = _of_classes(*pair, voices, scale, draws, seed)
            intervals |= {f"{k}_{name}": v for k, v in found.items()}
    return intervals


def moment_columns(
    reference: NDArray, predicted: NDArray, centres: NDArray
) -> NDArray:
    """What each utterance adds to the sums behind the scores, [7, N].

    Around centres: sums of squares lose no digits to an offset.
    """
    a, b = reference - centres[0], predicted - centres[1]
    error = np.abs(reference - predicted)
    return np.stack([np.ones_like(a), a, b, a * a, b * b, a * b, error])


def scores_of_moments(sums: NDArray, centres: NDArray) -> dict[str, NDArray]:
    """CCC, correlation and error of R sums of :func:`moment_columns` [R, 7]."""
    count, *rest = sums.T
    mean_a, mean_b, square_a, square_b, product, error = (
        x / count for x in rest
    )
    found = correlations(
        mean_a + centres[0],
        mean_b + centres[1],
        np.maximum(square_a - mean_a**2, 0.0),
        np.maximum(square_b - mean_b**2, 0.0),
        product - mean_a * mean_b,
    )
    return {**found, "mae": error}


def _of_classes(
    reference: NDArray,
    predicted: NDArray,
    speakers: NDArray,
    scale: Scale,
    draws: int,
    seed: int,
) -> dict[str, list[float]]:
    *signs, kept = non_zero_classes(reference, predicted)
    step = [steps(values, scale) for values in (reference, predicted)]
    whole = round(scale[1] - scale[0]) + 1
    tasks = {
        "has_zero": (has_zero_classes(reference, predicted), speakers, 2),
        "non_zero": (signs, speakers[kept], 2),
        "steps": (step, speakers, whole),
    }
    found = {}
    for name, ((a, b), voices, size) in tasks.items():
        intervals = speaker_intervals(a, b, voices.tolist(), size, draws, seed)
        if intervals is None:
            continue
        if name == "steps":
            found[steps_name(scale)] = intervals["wa"]
        else:
            found[f"acc2_{name}"] = intervals["wa"]
            found[f"wf1_{name}"] = intervals["wf1"]
    return found
