"""One command on one damaged file, in a process apart, and its judge."""

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

SECONDS = 10
"""Of a processor: what a busy machine cannot lengthen."""
HANGING = 600
"""Seconds on the clock, maybe of a busy machine, after which a trial ends."""
GIB = 2**30
A_PROCESS = 64
"""Trials that one process makes, before a fresh one goes on."""
LAST_RESORT = "--debug shows where it came from"
"""What the command says of an error that nothing before it understood."""

Outcome = TypeVar("Outcome")


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
        if LAST_RESORT in self.output:
            return "not understood"
        if self.status < 0 or self.status > 2:
            return f"exit status {self.status}"
        if self.status and not self.output.strip():
            return "refused without a word"
        return None


def try_command(
    command: Callable[[], int | None], log: Path, hanging: float = HANGING
) -> Verdict:
    """Run a function in a fork of its own.

    One that hangs is killed, and its status is negative then.
    """
    resident = memory("VmRSS")
    child = _fork()
    if not child:
        with output_to(log):
            code = _status_of(command)
        os._exit(code)
    started = time.monotonic()
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - started > hanging:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return Verdict(
        os.waitstatus_to_exitcode(status),
        usage.ru_utime + usage.ru_stime,
        1024 * usage.ru_maxrss - resident,  # the fork had that from the start
        log.read_text(encoding="utf-8", errors="replace"),
    )


def in_turn(
    attempt: Callable[[int], Outcome], numbers: Sequence[int]
) -> Iterator[tuple[int, Outcome | Verdict]]:
    """Attempt numbers one after another, `A_PROCESS` of them a fork.

    A number whose process died or hung gives a Verdict with the status; a
    fresh process goes on behind it.
    """
    done = 0
    while done < len(numbers):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        some = numbers[done : done + A_PROCESS]
        child = _fork()
        if not child:
            ours.close()
            _leave(lambda t=theirs, some=some: _send(t, map(attempt, some)))
        theirs.close()
        for number in some:
            done += 1
            try:
                if not ours.poll(HANGING):
                    os.kill(child, signal.SIGKILL)
                yield number, ours.recv()
            except EOFError:
                break
        else:
            os.waitpid(child, 0)
            continue
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield number, Verdict(code or -1, 0, 0, "its process ended")


def apart(function: Callable[[], Outcome]) -> Outcome:
    """What a function returns, called in a fork; RuntimeError when it dies."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = _fork()
    if not child:
        ours.close()
        _leave(lambda: _send(theirs, [function()]))
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError("the process ended, see above") from None
    finally:
        os.waitpid(child, 0)


def in_this_process(command: Callable[[], int | None], log: Path) -> Verdict:
    """Run a function here, with a log; for an attempt of `in_turn`."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    resident, before = memory("VmRSS"), _seconds()
    with output_to(log):
        status = _status_of(command)
    return Verdict(
        status,
        _seconds() - before,
        memory("VmHWM") - resident,
        log.read_text(encoding="utf-8", errors="replace"),
    )


def memory(name: str) -> int:
    """A line of this process's status, in bytes: VmRSS, VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}")


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return child


def _send(pipe: Connection, outcomes: Iterable[Any]) -> None:
    for outcome in outcomes:
        pipe.send(outcome)


def _leave(work: Callable[[], None]) -> NoReturn:
    """End a forked process after its work: nothing of its parent's is done."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _seconds() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Write both standard streams into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(stream) for stream in (1, 2)]
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    try:
        for stream in (1, 2):
            os.dup2(target, stream)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, before in zip((1, 2), kept, strict=True):
            os.dup2(before, stream)
            os.close(before)
        os.close(target)


def _status_of(command: Callable[[], int | None]) -> int:
    try:
        code = command()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        code = 1
    return code or 0
