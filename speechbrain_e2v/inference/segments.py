"""Stretches of time with one label."""

from dataclasses import dataclass

import numpy as np

SILENCE = "silence"


@dataclass(frozen=True)
class Segment:
    """A stretch of time with one label.

    Arguments
    ---------
    start, end : float
        Seconds.
    label : str
        A class, or ``silence``.
    confidence : float or None
        Mean probability of the class; None for silence.
    """

    start: float
    end: float
    label: str
    confidence: float | None

    @property
    def silent(self):
        """Whether it was left out as silence."""
        return self.confidence is None


def segments_of(posteriors, classes, hop, seconds):
    """Join neighbouring cells with the same best class.

    Arguments
    ---------
    posteriors : numpy.ndarray, [N, C]
        nan in a row: silence.
    classes : sequence of str
    hop, seconds : float
        Length of a cell and of the file.

    Returns
    -------
    list of Segment

    Example
    -------
    >>> p = np.array([[0.9, 0.1], [0.7, 0.3], [np.nan, np.nan]])
    >>> [(s.end, s.label, s.confidence)
    ...  for s in segments_of(p, ["sad", "happy"], 1.0, 2.5)]
    [(2.0, 'sad', 0.8), (2.5, 'silence', None)]
    """
    best = [-1 if np.isnan(row[0]) else int(row.argmax()) for row in posteriors]
    segments = []
    first = 0
    for index in range(1, len(best) + 1):
        if index < len(best) and best[index] == best[first]:
            continue
        rows = posteriors[first:index]
        silent = best[first] < 0
        confidence = None if silent else float(rows[:, best[first]].mean())
        segments.append(
            Segment(
                round(first * hop, 6),
                round(min(index * hop, seconds), 6),
                SILENCE if silent else classes[best[first]],
                confidence,
            )
        )
        first = index
    return segments
