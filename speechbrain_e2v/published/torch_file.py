"""Files that torch wrote, today's zip archives and the older format, read
without running anything in them and without trusting a number in them.

torch's weights-only reader does the work. What it is given was followed
before (pickle_scan), and each class that a config names becomes an inert
stand-in.
"""

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.published.pickle_names import REAL
from speechbrain_e2v.published.pickle_scan import (
    DAMAGED,
    BrokenCheckpoint,
    RefusedPickle,
    Scan,
    scan_pickle,
)

MAX_BYTES = 32 * 2**30
_MAX_PICKLE_BYTES = 16 * 2**20
_MAX_ENTRIES = 20_000
_OLDER = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # its first pickle


class _ShortReads(io.BufferedReader):
    """A file of which nobody holds much: zipfile reads a whole directory."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = _MAX_PICKLE_BYTES if size is None or size < 0 else size
        data = super().read(min(wanted, _MAX_PICKLE_BYTES))
        if size != len(data) == _MAX_PICKLE_BYTES:
            raise BrokenCheckpoint(
                f"a directory in it has more than {_MAX_PICKLE_BYTES} bytes"
            )
        return data


class StandIn:
    """What an object of a config class was made of; it does nothing."""

    name = ""
    args: tuple = ()
    state: Any = None

    def __new__(cls, *args: Any) -> "StandIn":
        self = object.__new__(cls)
        self.args = args
        return self

    def __init__(self, *args: Any) -> None:
        """Take anything: torch's reader calls classes."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def load_torch_file(path: str | Path, max_bytes: int = MAX_BYTES) -> Any:
    """Read what torch.save wrote: plain data, tensors and StandIns.

    Tensors of a zip archive stay in the file until they are used.
    Raises RefusedPickle (a ValueError) with the name of what weights do not
    need, BrokenCheckpoint (too) for files that are damaged, too large,
    compressed or something else.

    >>> path = getfixture("tmp_path") / "weights.pt"
    >>> torch.save({"model": {"w": torch.arange(3.0)}}, path)
    >>> load_torch_file(path)
    {'model': {'w': tensor([0., 1., 2.])}}
    """
    path = Path(path)
    try:
        with _ShortReads(io.FileIO(path)) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            start = file.read(64)
            file.seek(0)
            _recognise_downloads_gone_wrong(start)
            if size > max_bytes:
                raise BrokenCheckpoint(
                    f"it has {size} bytes, more than the limit of {max_bytes}"
                )
            in_zip = start.startswith(b"PK")
            scan = (_scan_zip if in_zip else _scan_older)(file, size)
    except (BrokenCheckpoint, RefusedPickle) as error:
        raise type(error)(f"{path}: {error}.") from None
    stand_ins: list[Any] = [
        (type("StandIn", (StandIn,), {"name": name}), name)
        for name in sorted(scan.names - REAL)
    ]
    try:
        with _only_these(stand_ins):
            return torch.load(
                path, map_location="cpu", mmap=in_zip, weights_only=True
            )
    except Exception as error:  # whatever torch's parsing meets
        reason = shown(str(error).partition("\n")[0])
        raise BrokenCheckpoint(
            f"{path}: torch cannot read it ({type(error).__name__}: {reason}); "
            f"{DAMAGED}."
        ) from error


@contextlib.contextmanager
def _only_these(stand_ins: list[Any]) -> Iterator[None]:
    """Let torch's reader know stand-ins, and nothing that others allowed."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(stand_ins):
            yield
    finally:
        torch.serialization.add_safe_globals(allowed)


def _recognise_downloads_gone_wrong(start: bytes) -> None:
    if start.startswith(b"version https://git-lfs"):
        raise BrokenCheckpoint(
            "it is a Git LFS pointer, not the file itself: run `git lfs pull` "
            "in its folder, or give the hub id instead"
        )
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise BrokenCheckpoint(
            "it is a web page, not a checkpoint: download it again"
        )
    if not start:
        raise BrokenCheckpoint("it is empty: download or copy it again")


def _scan_zip(file: BinaryIO, size: int) -> Scan:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _checked_entries(archive, size)
            root = _root_of(entries)
            order = entries.get(f"{root}byteorder")
            if order is not None and archive.read(order) != b"little":
                raise BrokenCheckpoint("it was written on a big-endian machine")
            bad = archive.testzip()
            if bad is not None:
                raise BrokenCheckpoint(f"{shown(bad)} fails its CRC; {DAMAGED}")
            pickled = archive.read(entries[f"{root}data.pkl"])
    except BrokenCheckpoint:
        raise
    except Exception as error:  # zipfile raises whatever it stumbles over
        raise BrokenCheckpoint(
            f"it is not a whole zip archive ({shown(error)}); {DAMAGED}"
        ) from error
    scan = scan_pickle(io.BytesIO(pickled))
    for key, (count, dtype) in scan.storages.items():
        entry = entries.get(f"{root}data/{key}")
        if entry is None or entry.file_size != count * dtype.itemsize:
            raise BrokenCheckpoint(
                f"storage {shown(key)} is missing or has another size; "
                f"{DAMAGED}"
            )
    return scan


def _checked_entries(
    archive: zipfile.ZipFile, size: int
) -> dict[str, zipfile.ZipInfo]:
    """List an archive; nothing in it takes more bytes than the file has."""
    entries: dict[str, zipfile.ZipInfo] = {}
    if any(name.endswith("/constants.pkl") for name in archive.namelist()):
        raise BrokenCheckpoint(
            "it is a TorchScript archive (a program): give the checkpoint "
            "with the weights"
        )
    if len(archive.infolist()) > _MAX_ENTRIES:
        raise BrokenCheckpoint(f"it has more than {_MAX_ENTRIES} entries")
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise BrokenCheckpoint(
                f"{shown(entry.filename)} is compressed "
                f"({entry.compress_size} to {entry.file_size} bytes), which "
                "torch.save never does: perhaps a bomb, it was not unpacked"
            )
        if entry.filename in entries:
            raise BrokenCheckpoint(f"it holds {shown(entry.filename)} twice")
        entries[entry.filename] = entry
    declared = sum(entry.file_size for entry in entries.values())
    if declared > size:
        raise BrokenCheckpoint(
            f"it has {size} bytes but declares {declared}: not unpacked"
        )
    return entries


def _root_of(entries: dict[str, zipfile.ZipInfo]) -> str:
    pickles = [
        name
        for name in entries
        if name == "data.pkl" or name.endswith("/data.pkl")
    ]
    if len(pickles) != 1:
        raise BrokenCheckpoint(
            "it is a zip archive, but not a torch checkpoint (it holds "
            f"{len(pickles)} data.pkl)"
        )
    length = entries[pickles[0]].file_size
    if length > _MAX_PICKLE_BYTES:
        raise BrokenCheckpoint(
            f"its pickle has {length} bytes, more than {_MAX_PICKLE_BYTES}"
        )
    return pickles[0].removesuffix("data.pkl")


def _scan_older(file: BinaryIO, size: int) -> Scan:
    """Five pickles (mark, version, machine, content, keys), then the data."""
    stream = io.BytesIO(file.read(_MAX_PICKLE_BYTES))
    if not stream.getvalue().startswith(_OLDER):
        with contextlib.suppress(BrokenCheckpoint):
            scan_pickle(stream)  # hostile ones are refused by name
        raise BrokenCheckpoint(
            "it is damaged or no checkpoint: torch.save did not write it"
        )
    *_, scan, keys = [scan_pickle(stream) for _ in range(5)]
    declared = sum(n * dtype.itemsize for n, dtype in scan.storages.values())
    if declared > size:
        raise BrokenCheckpoint(
            f"it has {size} bytes but declares {declared}: not read"
        )
    # torch leaves a storage without data as it finds the memory.
    if sorted(keys.texts) != sorted(scan.storages):
        raise BrokenCheckpoint(f"a storage has no data; {DAMAGED}")
    return scan
