"""Learning rate and EMA decay as pure functions of the update number."""

import math


def cosine_with_warmup(
    update: int, peak: float, warmup: int, total: int
) -> float:
    """Linear warm-up, then half a cosine down to 0; updates count from 0.

    0 from `total` on. (The released scheduler starts a second period at a
    tenth of the peak there, which no run reaches.)

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


def ema_decay(
    update: int,
    start: float = 0.999,
    end: float = 0.99999,
    anneal: int = 20000,
) -> float:
    """Teacher decay after an update: linear from start to end, then constant.

    The update just made is counted from 1; `end` is reached at `anneal`.

    Example
    -------
    >>> round(ema_decay(10000), 6)
    0.999495
    """
    if update >= anneal:
        return end
    return end - (end - start) * (1 - update / anneal)
