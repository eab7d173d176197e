"""Files that torch wrote: zip archives, the older format, plain pickles.

Safe on hostile files: the pickle inside calls nothing (restricted_unpickler),
and nothing is read that the file does not really hold.
"""

import io
import zipfile
from contextlib import contextmanager
from pathlib import Path

from speechbrain_e2v.published.pickle_names import STORAGE_TYPES, Name
from speechbrain_e2v.published.restricted_unpickler import unpickle
from speechbrain_e2v.published.stored_tensor import BrokenCheckpoint, Storage

MAX_BYTES = 32 * 2**30
_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of torch's older format
_DAMAGED = "the file is damaged or incomplete: download or copy it again."


@contextmanager
def open_checkpoint(path, max_bytes=MAX_BYTES):
    """Read what a torch file holds; its tensors can be read while it is open.

    Arguments
    ---------
    path : str or Path
    max_bytes : int
        Larger files are refused.

    Yields
    ------
    object
        Plain data, StoredTensor, Name and StandIn.

    Raises
    ------
    RefusedPickle
        When the pickle asks for more than weights need, with the name.
    BrokenCheckpoint
        When the file is damaged, too large, compressed or something else.

    Example
    -------
    >>> import torch
    >>> path = getfixture("tmp_path") / "weights.pt"
    >>> torch.save({"model": {"w": torch.arange(3.0)}}, path)
    >>> with open_checkpoint(path) as content:
    ...     content["model"]["w"].read().tolist()
    [0.0, 1.0, 2.0]
    """
    path = Path(path)
    with open(path, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        start = file.read(64)
        file.seek(0)
        if size > max_bytes:
            raise BrokenCheckpoint(
                f"{path} has {size} bytes, more than the limit of {max_bytes}."
            )
        _recognise_downloads_gone_wrong(path, start)
        if start.startswith(b"PK"):
            with _opened_zip(file, path) as archive:
                yield _read_zip(archive, path, size)
        else:
            yield _read_stream(_Bounded(file, size), path)


def _recognise_downloads_gone_wrong(path, start):
    if start.startswith(b"version https://git-lfs"):
        raise BrokenCheckpoint(
            f"{path} is a Git LFS pointer, not the file itself: run `git lfs "
            "pull` in its folder, or give the hub id instead."
        )
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise BrokenCheckpoint(
            f"{path} is a web page, not a checkpoint: download it again."
        )
    if not start:
        raise BrokenCheckpoint(f"{path} is empty: download or copy it again.")


@contextmanager
def _opened_zip(file, path):
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise BrokenCheckpoint(
            f"{path} is not a whole zip archive ({error}): {_DAMAGED}"
        ) from error
    with archive:
        yield archive


def _read_zip(archive, path, size):
    entries = {}
    if any(name.endswith("/constants.pkl") for name in archive.namelist()):
        raise BrokenCheckpoint(
            f"{path} is a TorchScript archive (a program): give the "
            "checkpoint with the weights."
        )
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise BrokenCheckpoint(
                f"{path}: {entry.filename} is compressed "
                f"({entry.compress_size} to {entry.file_size} bytes). "
                "torch.save never compresses, so this may be a bomb; it was "
                "not unpacked."
            )
        if entry.filename in entries:
            raise BrokenCheckpoint(f"{path} holds {entry.filename} twice.")
        entries[entry.filename] = entry
    declared = sum(entry.file_size for entry in entries.values())
    if declared > size:
        raise BrokenCheckpoint(
            f"{path} has {size} bytes but declares {declared}: not unpacked."
        )
    roots = [name[: -len("data.pkl")] for name in entries if _is_root(name)]
    if len(roots) != 1:
        raise BrokenCheckpoint(
            f"{path} is a zip archive, but not a torch checkpoint (it holds "
            f"{len(roots)} data.pkl)."
        )
    root = roots[0]
    order = entries.get(f"{root}byteorder")
    if order is not None and archive.read(order) != b"little":
        raise BrokenCheckpoint(f"{path} was written on a big-endian machine.")

    def storage(identifier):
        dtype, key, count = _parse_identifier(identifier)
        entry = entries.get(f"{root}data/{key}")
        if entry is None or entry.file_size != count * dtype.itemsize:
            raise BrokenCheckpoint(
                f"storage {key} is missing or has another size; {_DAMAGED}"
            )
        return Storage(dtype, count, lambda: _read_entry(archive, entry, path))

    pickled = io.BytesIO(_read_entry(archive, entries[f"{root}data.pkl"], path))
    return unpickle(pickled, path, storage)


def _is_root(name):
    return name == "data.pkl" or name.endswith("/data.pkl")


def _read_entry(archive, entry, path):
    content = bytearray(entry.file_size)
    try:
        with archive.open(entry) as stream:
            count = stream.readinto(content)
            while 0 < count < len(content):
                more = stream.readinto(memoryview(content)[count:])
                if not more:
                    break
                count += more
    except (zipfile.BadZipFile, EOFError) as error:
        raise BrokenCheckpoint(
            f"{path}: {entry.filename} cannot be read ({error}); {_DAMAGED}"
        ) from error
    if count != len(content):
        raise BrokenCheckpoint(f"{path}: {entry.filename} is cut off.")
    return content


def _read_stream(stream, path):
    first = unpickle(stream, path, extra=_NESTED)
    if first != _MAGIC:
        return first
    for _ in range(2):  # protocol version and machine of the writer
        unpickle(stream, path)
    storages = {}

    def storage(identifier):
        dtype, key, count = _parse_identifier(identifier)
        if key not in storages:
            storages[key] = Storage(dtype, count, _not_yet)
        return storages[key]

    content = unpickle(stream, path, storage)
    for key in unpickle(stream, path):
        count = int.from_bytes(stream.read(8), "little")
        if key not in storages or count != storages[key].numel:
            raise BrokenCheckpoint(
                f"{path}: storage {key!r} unknown; {_DAMAGED}"
            )
        length = count * storages[key].dtype.itemsize
        storages[key].read = stream.later(length, path)
    return content


def _not_yet():
    raise BrokenCheckpoint(f"a storage has no data; {_DAMAGED}")


def _parse_identifier(identifier):
    """Read ('storage', type, key, device, count[, view])."""
    match identifier:
        case ("storage", Name(full), str(key), str(_), int(count), *view):
            if full in STORAGE_TYPES and count >= 0 and view in ([], [None]):
                return STORAGE_TYPES[full], key, count
    raise BrokenCheckpoint("it refers to data of an unknown kind")


class _Bounded:
    """File that knows its end: a length in it cannot claim more memory."""

    def __init__(self, file, size):
        self.file = file
        self.size = size

    def read(self, count):
        if not 0 <= count <= self.size - self.file.tell():
            return b""
        return self.file.read(count)

    def readline(self):
        return self.file.readline(1_000_000)

    def tell(self):
        return self.file.tell()

    def later(self, length, path):
        start = self.file.tell()
        if start + length > self.size:
            raise BrokenCheckpoint(f"{path} is cut off: {_DAMAGED}")
        self.file.seek(start + length)

        def read():
            self.file.seek(start)
            return bytearray(self.file.read(length))

        return read


def _storage_in(content):
    """Read the torch file that pickle.dump puts around a storage."""
    if not isinstance(content, bytes):
        raise BrokenCheckpoint("a storage in it is not made of bytes")
    stream = _Bounded(io.BytesIO(content), len(content))
    return _read_stream(stream, "a storage in it")


_NESTED = {"torch.storage._load_from_bytes": _storage_in}
