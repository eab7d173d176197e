"""One writer a folder, by a lock that ends with its process.

`fcntl.flock`, since the kernel gives it up whichever way a process ends. The
package `filelock` makes the same call, but falls back to marker files, which a
killed process leaves behind, and cannot lock a folder that is being written.
"""

import contextlib
import errno
import fcntl
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

LOCK_NAME = ".writer.lock"

_held: dict[Path, tuple[int, int]] = {}  # file -> descriptor, thread


class FolderInUse(OSError):
    """Another run writes the folder."""


@contextlib.contextmanager
def sole_writer(folder: str | Path) -> Iterator[Path]:
    """Be the only run that writes a folder; it is created where it is absent.

    The ranks that torchrun started are one run, whose first rank holds the
    lock. A thread that holds a folder's lock may ask for it again. Raises
    FolderInUse when another run is at it.

    >>> folder = getfixture("tmp_path") / "run"
    >>> with sole_writer(folder):
    ...     [path.name for path in folder.iterdir()]
    ['.writer.lock']
    >>> list(folder.iterdir())
    []
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / LOCK_NAME
    thread = threading.get_ident()
    later_rank = os.environ.get("RANK", "0") != "0"
    if later_rank or _held.get(path, (0, 0))[1] == thread:
        yield folder
        return
    descriptor = _acquire(path, folder)
    _held[path] = descriptor, thread
    try:
        yield folder
    finally:
        del _held[path]
        # Still locked: whoever waits for this very file notices that it is
        # gone, and nobody finds a file that means nothing.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def lock_if_free(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; False: it is locked.

    Raises OSError where the file system has no such locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def is_open_at(descriptor: int, path: Path) -> bool:
    """Whether the name still belongs to the opened file or folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _acquire(path: Path, folder: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not lock_if_free(descriptor):
                holder = os.read(descriptor, 200).decode("utf-8", "replace")
                os.close(descriptor)
                raise FolderInUse(
                    f"{folder} is being written by another run"
                    f"{holder and f' ({holder})'}: wait until it has ended, or "
                    "give another folder."
                )
        except FolderInUse:
            raise
        except OSError as error:
            warnings.warn(
                f"{folder} cannot be locked ({error.strerror}): nothing keeps "
                "a second run out of it.",
                stacklevel=4,
            )
        if is_open_at(descriptor, path):
            break
        os.close(descriptor)  # the last holder has just removed it
    os.ftruncate(descriptor, 0)
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    os.pwrite(descriptor, holder.encode(), 0)
    return descriptor


def _let_go_in_a_fork() -> None:
    # A worker that outlives a killed run must not hold its lock.
    for descriptor, _ in _held.values():
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_a_fork)
