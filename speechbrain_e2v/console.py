"""How a command speaks and ends: output, progress bars, signals, errors."""

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

EXPECTED = (ValueError, OSError, FloatingPointError)
"""Errors about the user's input or machine, whose message says it all."""

_NO_SPACE = "free some space or write elsewhere, then run the command again"
_NO_WRITING = "write to a place where you may"
_WAY_OUT = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: _NO_SPACE,
    errno.EROFS: _NO_WRITING,
    errno.EACCES: "change its permissions or give another one",
    errno.EPERM: "change its permissions or give another one",
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_quiet = False


class Ended(BaseException):
    """A signal has ended the command; `status` is its exit status."""

    def __init__(self, number: int):
        super().__init__(number)
        self.status = 128 + number
        self.line = (
            "interrupted"
            if number == signal.SIGINT
            else f"ended by {signal.Signals(number).name}"
        )


@contextlib.contextmanager
def command() -> Iterator[None]:
    """Run a command's body: no output is lost, signals raise `Ended`.

    Blocks are left as after any exception: locks are given up, unfinished files
    removed, processes that were started end. A second signal ends at once.

    >>> with command():
    ...     signal.raise_signal(signal.SIGTERM)
    Traceback (most recent call last):
    speechbrain_e2v.console.Ended: 15
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks must not end the rest.
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    before: dict[int, Any] = {}
    seen: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        restore()
        _end_children()
        raise Ended(number)

    for number in _SIGNALS:
        # Who starts a command in the background may have it ignore Ctrl-C.
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, end)
    try:
        yield
    except KeyboardInterrupt as error:
        raise Ended(signal.SIGINT) from error
    except Ended:
        raise
    except BaseException as error:
        if seen:  # a child that ended made it another error
            raise Ended(seen[0]) from error
        raise
    finally:
        restore()
    if seen:  # some library caught it
        raise Ended(seen[0])


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors about the user's input into one line and exit status 1.

    Ctrl-C and SIGTERM are one line, too, with exit status 130 and 143. The
    traceback goes to the run's log.txt. Imports that take seconds belong into
    it, too.

    >>> with one_line_errors():
    ...     raise ValueError("n_folds is 0; it must be at least 1")
    Traceback (most recent call last):
    SystemExit: error: n_folds is 0; it must be at least 1
    """
    try:
        with command():
            yield
    except Ended as ended:
        if os.environ.get("RANK", "0") == "0":
            print(ended.line, file=sys.stderr)
        raise SystemExit(ended.status) from ended
    except EXPECTED as error:
        logging.getLogger(__name__).debug("what ended the run", exc_info=error)
        raise SystemExit(f"error: {one_line(error)}") from error


def _end_children() -> None:
    # Daemons, such as a loader's workers, end with this process; others would
    # be waited for until their work is done.
    if multiprocessing := sys.modules.get("multiprocessing"):
        for child in multiprocessing.active_children():
            if not child.daemon:
                child.terminate()


def leave_interrupts_to_the_parent() -> None:
    """For child processes, which Ctrl-C reaches too, to be told once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def one_line(error: BaseException) -> str:
    r"""Say an error in one printable line, with a way out where one is known.

    >>> one_line(ValueError("a\nb\x1b[2J"))
    'a b\\x1b[2J'
    >>> one_line(OSError(errno.ENOSPC, "No space left on device", "x.bin"))
    'x.bin: No space left on device: free some space or write elsewhere, ...'
    >>> one_line(KeyError("labels"))
    "KeyError: 'labels'"
    """
    if isinstance(error, OSError) and error.errno and error.strerror:
        text = error.strerror
        if error.filename:
            text = f"{os.fsdecode(error.filename)}: {text}"
        if way_out := _WAY_OUT.get(error.errno):
            text += f": {way_out}"
    else:
        text = str(error)
        if not isinstance(error, EXPECTED) or not text:
            text = f"{type(error).__name__}: {text}".removesuffix(": ")
    text = " ".join(text.split())
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in text
    )


def file_behind(error: BaseException) -> Path | None:
    """The file that was being worked on when an error came up, as a guess.

    It is the innermost variable that holds the path of a file that exists.
    """
    found, traceback = None, error.__traceback__
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            with contextlib.suppress(OSError, ValueError):
                if isinstance(value, Path) and value.is_file():
                    found = value
        traceback = traceback.tb_next
    return found


def be_quiet() -> None:
    """Show no progress from now on."""
    global _quiet
    _quiet = True


def shows_progress() -> bool:
    """Whether somebody looks: bars in a log file are noise."""
    return not _quiet and sys.stderr is not None and sys.stderr.isatty()


ProgressBar = tqdm


def progress_bar(
    iterable: Any = None, disable: bool = False, **options: Any
) -> ProgressBar:
    """`tqdm`, which shows itself on a terminal only, and not with --quiet.

    >>> list(progress_bar([1, 2], desc="nobody sees it here"))
    [1, 2]
    """
    return tqdm(iterable, disable=disable or not shows_progress(), **options)
