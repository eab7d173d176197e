"""Learning rate and EMA decay as pure functions of the update number."""

import math


def cosine_with_warmup(update, peak, warmup, total):
    """Linear warm-up, then half a cosine down to 0.

    Arguments
    ---------
    update : int
        Number of the update, counted from 0.
    peak : float
    warmup, total : int
        Updates.

    Returns
    -------
    float
        0 from `total` on. (The released scheduler starts a second period at
        a tenth of the peak there, which no run reaches.)

    Example
    -------
    >>> cosine_with_warmup(2500, 7.5e-5, 5000, 100000)
    3.75e-05
    """
    if update < warmup:
        return peak * update / warmup
    if update >= total:
        return 0.0
    progress = (update - warmup) / (total - warmup)
    return 0.5 * peak * (1 + math.cos(math.pi * progress))


def ema_decay(update, start=0.999, end=0.99999, anneal=20000):
    """Teacher decay after an update: linear from start to end, then constant.

    Arguments
    ---------
    update : int
        Number of the update just made, counted from 1.
    start, end : float
    anneal : int
        Updates until `end` is reached.

    Returns
    -------
    float

    Example
    -------
    >>> round(ema_decay(10000), 6)
    0.999495
    """
    if update >= anneal:
        return end
    return end - (end - start) * (1 - update / anneal)
