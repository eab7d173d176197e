"""One command on one damaged file, in a process of its own, and its judge."""

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SECONDS = 10
"""Of a processor: what a busy machine cannot lengthen."""
HANGING = 120
"""Seconds on the clock after which a trial is ended."""
GIB = 2**30
# ru_maxrss is in kibibytes here; what the forked process had from the start
# is told apart by a process that does nothing.
_UNIT = 1024


class Verdict(NamedTuple):
    """What one trial came to."""

    status: int
    seconds: float
    bytes_over: int
    output: str

    @property
    def fault(self) -> str | None:
        """Why this is a fault of ours; None for a clean success or refusal."""
        if self.seconds > SECONDS:
            return f"{self.seconds:.1f} s"
        if self.bytes_over > GIB:
            return f"{self.bytes_over / GIB:.2f} GiB"
        if "Traceback (most recent call last)" in self.output:
            return "traceback"
        if self.status < 0 or self.status > 2:
            return f"exit status {self.status}"
        if self.status and not self.output.strip():
            return "refused without a word"
        return None


def resident_of_nothing() -> int:
    """Peak of a forked process that does nothing, bytes."""
    return _forked(lambda: 0, Path(os.devnull))[2]


def try_command(
    command: Callable[[], int | None],
    log: Path,
    nothing: int,
    hanging: float = HANGING,
) -> Verdict:
    """Run a function in a fork; `nothing` is what `resident_of_nothing` gave.

    One that hangs is killed, and its status is negative then.
    """
    status, seconds, peak = _forked(command, log, hanging)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Verdict(status, seconds, peak - nothing, text)


def _forked(
    command: Callable[[], int | None], log: Path, hanging: float = HANGING
) -> tuple[int, float, int]:
    started = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os._exit(_run(command, log))
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - started > hanging:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    seconds = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    return code, seconds, usage.ru_maxrss * _UNIT


def _run(command: Callable[[], int | None], log: Path) -> int:
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(target, stream)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        code = command()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0
