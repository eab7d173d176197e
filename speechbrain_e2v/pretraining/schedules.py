"""Learning rate and EMA decay as pure functions of the update number.

A length is a number of updates or a share of the run's: ``5000``, ``"5 %"``,
``0.05``.
"""

import math


def whole_updates(name: str, length: float | str, total: int | None) -> int:
    """A length in updates; ValueError, with its name, when it is none.

    >>> whole_updates("warmup_updates", "5 %", 1900)
    95
    >>> whole_updates("warmup_updates", 100, 1900)
    100
    """
    text = str(length).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if text.endswith("%"):
        number /= 100
    share = text.endswith("%") or 0 < number < 1
    if share and total is not None and 0 <= number <= 1:
        return round(number * total)
    if share or isinstance(length, bool) or number < 0 or number % 1:
        raise ValueError(
            f"{name} is {length}: give a number of updates, or a share of them "
            "such as 5 %"
        )
    return int(number)


def cosine_with_warmup(
    update: int,
    peak: float,
    warmup: float | str,
    total: int,
    ends: float = 0.0,
) -> float:
    """Linear warm-up, then half a cosine; updates count from 0.

    It falls to `ends` times the peak, which it keeps from `total` on. (The
    released scheduler starts a second period at a tenth of the peak there,
    which no run reaches.) A warm-up that fills the run is refused.

    >>> cosine_with_warmup(2500, 7.5e-5, "5 %", 100000)
    3.75e-05
    """
    rise = whole_updates("warmup_updates", warmup, total)
    if rise >= total:
        raise ValueError(
            f"warmup_updates is {warmup}, but the run has {total} updates: it "
            "would never leave its warm-up; give fewer, or a share such as 5 %"
        )
    if update < rise:
        return peak * update / rise
    if update >= total:
        return peak * ends
    progress = (update - rise) / (total - rise)
    fallen = 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (ends + (1 - ends) * fallen)


def tri_stage(
    update: int,
    peak: float,
    warmup: float | str,
    decay: float | str,
    total: int,
    ends: float = 0.01,
) -> float:
    """Linear warm-up, a constant rate, exponential decay: data2vec v1's.

    It begins and ends at `ends` times the peak; updates count from 0.

    >>> [round(tri_stage(u, 1.0, "3 %", "7 %", 1000), 4)
    ...  for u in (0, 30, 929, 965, 1000)]
    [0.01, 1.0, 1.0, 0.1, 0.01]
    """
    rise = whole_updates("warmup_updates", warmup, total)
    fall = whole_updates("decay_updates", decay, total)
    if rise + fall > total:
        raise ValueError(
            f"warmup_updates {warmup} and decay_updates {decay} are more than "
            f"the run's {total} updates; give fewer, or shares such as 3 %"
        )
    if update < rise:
        return peak * (ends + (1 - ends) * update / rise)
    if update < total - fall:
        return peak
    if update >= total:
        return peak * ends
    return peak * ends ** ((update - (total - fall)) / fall)


def ema_decay(
    update: int,
    start: float = 0.999,
    end: float = 0.99999,
    anneal: float | str = 20000,
    total: int | None = None,
) -> float:
    """Teacher decay after an update: linear from start to end, then constant.

    The update just made is counted from 1; `end` is reached at `anneal`, which
    may be a share of `total`.

    >>> round(ema_decay(10000, anneal="20 %", total=100000), 6)
    0.999495
    """
    length = whole_updates("ema_anneal_updates", anneal, total)
    if update >= length:
        return end
    return end - (end - start) * (1 - update / length)
