"""Features on the disk, memory-mapped, written bit by bit.

A store is a folder with ``frames.npy``, the float32 frames of all utterances
one after the other, and ``index.json``, which says where each lies.

While a store is made, each process appends to a part of its own, and lists in
a journal what is complete. Whoever starts again goes on behind the journals,
with as many processes as it likes. At the end one process joins the parts.
"""

import io
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from speechbrain_e2v.files.atomic import new_folder, replaced_file
from speechbrain_e2v.inference.feature_index import (
    INDEX,
    PARTS,
    Content,
    Index,
    Journal,
    Row,
    journals,
    read_index,
    write_index,
)

FRAMES = "frames.npy"


class FeatureStore:
    """Features of many utterances, memory-mapped.

    >>> folder = write_features(
    ...     getfixture("tmp_path") / "store",
    ...     [("a", torch.ones(3, 2)), ("b", torch.zeros(5, 2))],
    ... )
    >>> store = FeatureStore(folder)
    >>> frames, num_frames = store.packed(["b", "a"])
    >>> frames.shape, num_frames.tolist()
    (torch.Size([8, 2]), [5, 3])
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        index = read_index(folder)
        self.folder = folder
        self.digest = folder.name
        # A view without the class memmap, whose slices are slow to make.
        self.frames = np.asarray(_frames(folder))
        _demand_fit(folder, index, self.frames)
        self.dim = self.frames.shape[1]
        spans = pairwise(accumulate(index.num_frames, initial=0))
        self._spans = dict(zip(index.ids, spans, strict=True))

    def __len__(self) -> int:
        return len(self._spans)

    def utterance(self, name: str) -> np.ndarray:
        """Frames of one utterance, an array [T, D] on the disk."""
        first, last = self._spans[name]
        return self.frames[first:last]

    def packed(self, names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames of several utterances one after the other, no padding.

        Gives frames [sum of T, D], and frames of each utterance [B].
        """
        pieces = [self.utterance(name) for name in names]
        return (
            torch.from_numpy(np.concatenate(pieces)),
            torch.tensor([len(piece) for piece in pieces]),
        )

    def means(self, names: Sequence[str]) -> np.ndarray:
        """Mean over frames of each utterance, float32 [B, D]."""
        # In float64: a mean inside a model sums in another order.
        means = [
            self.utterance(name).mean(axis=0, dtype=np.float64)
            for name in names
        ]
        return np.stack(means).astype(np.float32)


@dataclass(frozen=True)
class _Placed:
    """A clip, and the bytes of a file that are its values."""

    row: Row
    file: str
    first: int
    stop: int


class StoreWriter:
    """Appends clips to a store.

    The first axis of the store is time, whatever is behind it: [sum of T, D],
    or [sum of T, L, D] of all layers. Rank `rank` writes its own part.
    `settings` go into the index.

    >>> folder = getfixture("tmp_path")
    >>> writer = StoreWriter(folder, {"layer": "last"})
    >>> writer.write("a", torch.ones(3, 4), seconds=0.07)
    >>> writer.close()
    >>> writer.finish(["a"])
    >>> FeatureStore(folder).utterance("a").shape
    (3, 4)
    """

    def __init__(
        self, folder: str | Path, settings: dict | None = None, rank: int = 0
    ):
        self.folder = Path(folder)
        self.settings = settings or {}
        self._journal = Journal(self.folder, rank)
        self._own = _data_of(self._journal.path)
        self._data: BinaryIO | None = None
        self.written = {placed.row.id: placed.row for placed in self._placed()}
        """What was there when this run began."""

    def write(
        self,
        name: str,
        values: torch.Tensor,
        seconds: float | None = None,
        content: Content | None = None,
    ) -> None:
        """Append values [T, ...]; they count once the journal lists them.

        Raises ValueError naming a clip with no frame or a value that is not
        finite.
        """
        array = np.ascontiguousarray(values.float().cpu().numpy(), "<f4")
        if not len(array) or not np.isfinite(array).all():
            raise ValueError(
                f"{name}: {len(array)} frames of features, or values that are "
                "not finite; check this audio and the encoder"
            )
        data = self._opened(array.shape[1:])
        data.write(array.tobytes())
        data.flush()
        self._journal.append(Row(name, list(array.shape), seconds, content))

    def close(self) -> None:
        """Close this process's part."""
        if self._data is not None:
            self._data.close()
        self._data = None
        self._journal.close()

    def finish(self, names: Sequence[str] = ()) -> None:
        """Join the parts of all processes, which must be closed.

        `names` is the order of the store: those of earlier runs come first,
        names without features are passed over.
        """
        placed = {each.row.id: each for each in self._placed()}
        if (self.folder / PARTS).is_dir() and placed:
            earlier = [n for n, each in placed.items() if each.file == FRAMES]
            order = dict.fromkeys([*earlier, *names, *placed])
            self._join([placed[name] for name in order if name in placed])
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)

    def _opened(self, row_shape: Sequence[int]) -> BinaryIO:
        if self._data is None:
            there = list(_part(self._journal.path))
            self._journal.restart(each.row for each in there)
            self._own.touch()
            data = open(self._own, "r+b")
            # A header of the final length: the part may become the file.
            end = there[-1].stop if there else _header(data, 0, row_shape)
            # Behind the last listed one there may be half of another.
            data.truncate(end)
            data.seek(end)
            self._data = data
        return self._data

    def _placed(self) -> Iterator[_Placed]:
        yield from self._complete()
        for path in journals(self.folder):
            yield from _part(path)

    def _complete(self) -> Iterator[_Placed]:
        if not (self.folder / INDEX).is_file():
            return
        index, frames = read_index(self.folder), _frames(self.folder)
        _demand_fit(self.folder, index, frames)
        start = frames.offset
        for row in index.rows():
            stop = start + row.shape[0] * frames.strides[0]
            yield _Placed(row, FRAMES, start, stop)
            start = stop

    def _join(self, placed: list[_Placed]) -> None:
        shape = placed[0].row.shape[1:]
        total = sum(each.row.shape[0] for each in placed)
        if _is_whole_file(placed):
            with open(self.folder / placed[0].file, "r+b") as file:
                _header(file, total, shape)
            os.replace(self.folder / placed[0].file, self.folder / FRAMES)
        else:
            with (
                replaced_file(self.folder / FRAMES) as unfinished,
                open(unfinished, "wb") as joined,
            ):
                _header(joined, total, shape)
                for each in placed:
                    joined.write(_bytes(self.folder, each))
        write_index(self.folder, self.settings, [each.row for each in placed])


def write_features(
    folder: str | Path, features: Iterable[tuple[str, torch.Tensor]]
) -> Path:
    """Write a store at once; nobody sees it before it is complete.

    `features` are ids with frames [T, D], or one vector [D].

    Raises ValueError naming an utterance with no frame or with a value that is
    not finite.
    """
    with new_folder(folder) as unfinished:
        writer = StoreWriter(unfinished)
        for name, frames in features:
            writer.write(name, torch.atleast_2d(frames))
        writer.close()
        writer.finish()
        if not (unfinished / INDEX).is_file():
            raise ValueError(f"{folder}: there are no utterances")
    return Path(folder)


def _data_of(journal: Path) -> Path:
    return journal.with_suffix(".f32")


def _part(path: Path) -> Iterator[_Placed]:
    """Read the journal of a part as far as the part has the data."""
    data = _data_of(path)
    end = data.stat().st_size if data.is_file() else 0
    start = None
    for row in Journal.read(path):
        if start is None:
            start = _header(io.BytesIO(), 0, row.shape[1:])
        stop = start + 4 * math.prod(row.shape)
        if stop > end:
            return
        yield _Placed(row, f"{PARTS}/{data.name}", start, stop)
        start = stop


def _is_whole_file(placed: list[_Placed]) -> bool:
    """Say whether these are one part, in its order and without gaps."""
    return placed[0].file != FRAMES and all(
        each.file == before.file and each.first == before.stop
        for before, each in pairwise(placed)
    )


def _bytes(folder: Path, placed: _Placed) -> bytes:
    with open(folder / placed.file, "rb") as file:
        file.seek(placed.first)
        return file.read(placed.stop - placed.first)


def _frames(folder: Path) -> np.memmap:
    path = folder / FRAMES
    try:
        frames = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} is not a whole npy file ({error}); delete this folder"
        ) from error
    if frames.dtype != np.dtype("<f4") or frames.ndim < 2:
        raise ValueError(
            f"{path} has {frames.dtype} {list(frames.shape)}, no float32 "
            "frames; delete this folder"
        )
    return frames


def _demand_fit(folder: Path, index: Index, frames: np.ndarray) -> None:
    total = sum(index.num_frames)
    if total != len(frames):
        raise ValueError(
            f"{folder}: index.json lists {total} frames, frames.npy "
            f"has {len(frames)}; delete this folder"
        )
    shape = list(frames.shape[1:])
    if index.row_shape not in (None, shape):
        raise ValueError(
            f"{folder}: index.json has frames of {index.row_shape}, frames.npy "
            f"of {shape}; delete this folder"
        )


def _header(file: BinaryIO, length: int, row_shape: Sequence[int]) -> int:
    """Write the header of a npy file; numpy leaves room for a first axis."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(
        file,
        {
            "descr": "<f4",
            "fortran_order": False,
            "shape": (length, *row_shape),
        },
    )
    return file.tell()
