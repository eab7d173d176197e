"""Peak memory of a call, told apart from the model that is resident anyway."""

import gc
from pathlib import Path

STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # man 5 proc, clear_refs


def peak_over_resident(function):
    """Call a function and measure what it needs at its worst moment.

    Linux only. Measure in a fresh process: what an earlier call gave back to
    the allocator, but not to the system, is not counted a second time.

    Arguments
    ---------
    function : callable
        Without arguments.

    Returns
    -------
    (object, float)
        What it returned, and GiB over what was resident before.

    Example
    -------
    >>> _, grown = peak_over_resident(lambda: len(bytearray(2**28)))
    >>> round(grown, 2)
    0.25
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, "ascii")
    before = _kib("VmRSS")
    result = function()
    return result, (_kib("VmHWM") - before) / 2**20


def peak_of_process():
    """Return the most that this process has had resident, GiB."""
    return _kib("VmHWM") / 2**20


def _kib(name):
    for line in STATUS.read_text("ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise OSError(f"{STATUS} has no {name}: this needs Linux")
