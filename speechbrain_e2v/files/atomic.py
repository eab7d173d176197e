"""Files and folders that are whole or not there.

Everything is written under an unfinished name beside its target and renamed at
the end. The writer holds a lock on it, so that what a killed run left behind is
told from what a living one writes, on every machine and in every container.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from speechbrain_e2v.files.lock import is_open_at, lock_if_free

UNFINISHED = ".unfinished-"
_UNFINISHED_NAME = re.compile(re.escape(UNFINISHED) + r"[0-9a-f]{16}(\..*)?")


def replace_text(path: str | Path, text: str) -> Path:
    """Write a UTF-8 text file, or replace it.

    >>> target = getfixture("tmp_path") / "deep" / "note.txt"
    >>> len(replace_text(target, "one line\\n").read_text())
    9
    """
    with replaced_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


@contextlib.contextmanager
def replaced_file(path: str | Path) -> Iterator[Path]:
    """Give a file to write, with the suffix of `path`, whose place it takes.

    It is there and empty, and is removed when the block raises. The folder of
    `path` is created.

    >>> target = getfixture("tmp_path") / "picture.png"
    >>> with replaced_file(target) as unfinished:
    ...     _ = unfinished.write_bytes(b"PNG")
    ...     target.exists(), unfinished.suffix
    (False, '.png')
    >>> target.read_bytes()
    b'PNG'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(path.parent.resolve())
    unfinished, descriptor = _unfinished(path.parent, path.suffix, is_file=True)
    try:
        with named_errors(path):
            yield unfinished
            flush(unfinished)
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write, which then becomes `path`.

    It is removed when the block raises, also on Ctrl-C. FileExistsError when
    `path` is there and not an empty folder, unless `overwrite`; then the old
    folder goes once the new one is whole.

    >>> target = getfixture("tmp_path") / "store"
    >>> with new_folder(target) as unfinished:
    ...     _ = (unfinished / "index.json").write_text("{}")
    ...     target.exists()
    False
    >>> [file.name for file in target.iterdir()]
    ['index.json']
    """
    path = Path(path)
    if path.exists() or path.is_symlink():
        if not path.is_dir() or path.is_symlink():
            raise FileExistsError(f"{path} is no folder: give a new folder.")
        if any(path.iterdir()) and not overwrite:
            raise FileExistsError(f"{path} is there already: give a new one.")
    with unfinished_folder(path.parent) as unfinished, named_errors(path):
        yield unfinished
        for file in unfinished.rglob("*"):
            flush(file)
        flush(unfinished)
        if path.is_dir() and any(path.iterdir()):
            with unfinished_folder(path.parent) as old:
                os.replace(path, old)
                os.replace(unfinished, path)
        else:
            os.replace(unfinished, path)


@contextlib.contextmanager
def unfinished_folder(parent: str | Path) -> Iterator[Path]:
    """Give a folder in `parent` for what is on its way there; it goes at last.

    >>> corpus = getfixture("tmp_path") / "corpus"
    >>> with unfinished_folder(corpus) as unfinished:
    ...     _ = (unfinished / "a.wav").write_bytes(b"")
    ...     (unfinished / "a.wav").replace(corpus / "a.wav").exists()
    True
    >>> [path.name for path in corpus.iterdir()]
    ['a.wav']
    """
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    sweep_leftovers(parent)
    unfinished, descriptor = _unfinished(parent, "", is_file=False)
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        os.close(descriptor)


@contextlib.contextmanager
def named_errors(path: str | Path) -> Iterator[None]:
    """Name what is being written when writing fails, whoever writes.

    Libraries tell a full disk each in words of its own ("unexpected pos 576 vs
    534", "System error."): it is asked whether it takes another block.

    >>> with named_errors("model.bin"):
    ...     raise OSError(27, "File too large")
    Traceback (most recent call last):
    OSError: [Errno 27] File too large: 'model.bin'
    """
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        name = getattr(error, "filename", None)
        if told := re.search(r"\(os error (\d+)\)", str(error)):  # Rust's words
            number = int(told[1])
        elif not isinstance(error, OSError) or number is None:
            number = _refusal(Path(path).parent)
        if number is None or (name and UNFINISHED not in str(name)):
            text = _finished_names(str(error), Path(path))
            if text != str(error) and type(error) in (OSError, ValueError):
                raise type(error)(text) from error
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _finished_names(text: str, path: Path) -> str:
    """A message with the name that the reader knows."""
    unfinished = re.escape(f"{path.parent}{os.sep}{UNFINISHED}")
    suffix = re.escape(path.suffix)
    pattern = f"{unfinished}[0-9a-f]{{16}}(?:{suffix})?"
    return re.sub(pattern, lambda _: str(path), text)


def _refusal(folder: Path) -> int | None:
    """Why the disk takes no further block, if it does not."""
    try:
        path, descriptor = _unfinished(folder, "", is_file=True)
        try:
            os.write(descriptor, bytes(2**16))
            os.fsync(descriptor)
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)
    except OSError as error:
        return error.errno
    return None


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk, also after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_leftovers(folder: str | Path) -> int:
    """Remove what dead runs left unfinished in a folder; how many there were.

    What a living run writes is locked and stays; so does everything where the
    file system has no locks, since nothing proves there that it is dead.
    """
    swept = 0
    for path in list(Path(folder).iterdir()):
        if not _UNFINISHED_NAME.fullmatch(path.name):
            continue
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # gone by now, or somebody else's
            continue
        try:
            if lock_if_free(descriptor) and is_open_at(descriptor, path):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                swept += 1
        except OSError:
            pass
        finally:
            os.close(descriptor)
    return swept


# A folder of a hundred thousand files is not listed for each of them.
_sweep_once = lru_cache(maxsize=1024)(sweep_leftovers)


def _unfinished(parent: Path, suffix: str, is_file: bool) -> tuple[Path, int]:
    """Create an unfinished file or folder and lock it: path and descriptor."""
    while True:
        # Not from tempfile, whose files nobody but their owner can read.
        path = parent / f"{UNFINISHED}{secrets.token_hex(8)}{suffix}"
        if is_file:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            descriptor = os.open(path, flags, 0o666)
        else:
            path.mkdir()
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:  # swept before it was locked
                continue
        with contextlib.suppress(OSError):  # no locks here: nothing is swept
            if not lock_if_free(descriptor) or not is_open_at(descriptor, path):
                os.close(descriptor)
                continue
        return path, descriptor
