"""Comparing times on machines that are never quite still.

Absolute times drift by a third on a shared machine. The ratio of two pieces
of work that take turns does not, so only ratios are reported.
"""

import gc
import statistics
import time
from typing import NamedTuple


class Ratio(NamedTuple):
    """How many times as fast as the other.

    Arguments
    ---------
    median : float
        Ratio of the medians.
    low, high : float
        Lowest and highest ratio of one round.
    rounds : int
    """

    median: float
    low: float
    high: float
    rounds: int


def alternate(functions, rounds, warm_up=True):
    """Time functions in turns.

    Arguments
    ---------
    functions : dict of str to callable
        Called without arguments; the order turns from round to round.
    rounds : int
    warm_up : bool
        Run each once before; what has just been run needs none.

    Returns
    -------
    dict of str to list of float
        Seconds of each round.

    Example
    -------
    >>> seconds = alternate({"a": list, "b": dict}, rounds=3)
    >>> {name: len(values) for name, values in seconds.items()}
    {'a': 3, 'b': 3}
    """
    if warm_up:
        for function in functions.values():
            function()
    names = list(functions)
    seconds = {name: [] for name in names}
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            begin = time.perf_counter()
            functions[name]()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def ratio(seconds, ours="ours", peer="peer"):
    """Compare two entries of what `alternate` returned.

    Arguments
    ---------
    seconds : dict of str to list of float
    ours, peer : str

    Returns
    -------
    Ratio
        Above 1 where ours is faster.

    Example
    -------
    >>> ratio({"ours": [1.0, 2.0, 3.0], "peer": [4.0, 4.0, 4.0]})
    Ratio(median=2.0, low=1.3333333333333333, high=4.0, rounds=3)
    """
    each = [
        theirs / own
        for own, theirs in zip(seconds[ours], seconds[peer], strict=True)
    ]
    median = statistics.median(seconds[peer]) / statistics.median(seconds[ours])
    return Ratio(median, min(each), max(each), len(each))
