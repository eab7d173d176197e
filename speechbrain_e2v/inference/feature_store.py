"""Features on the disk, memory-mapped, written bit by bit.

A store is a folder with ``frames.npy``, the float32 frames of all utterances
one after the other, and ``index.json``, which says where each lies.

While a store is made, each process appends to a part of its own, and lists in
a journal what is complete. Whoever starts again goes on behind the journals,
with as many processes as it likes. At the end one process joins the parts.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from speechbrain_e2v.files.atomic import (
    new_folder,
    replace_text,
    replaced_file,
)
from speechbrain_e2v.inference.journal import PARTS, Journal, journals

FRAMES, INDEX = "frames.npy", "index.json"
_FORMAT = 1


class FeatureStore:
    """Features of many utterances, memory-mapped.

    Example
    -------
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
        index = json.loads((folder / INDEX).read_text("utf-8"))
        self.folder = folder
        # A view without the class memmap, whose slices are slow to make.
        self.frames = np.asarray(np.load(folder / FRAMES, mmap_mode="r"))
        self.dim = self.frames.shape[1]
        ends = np.cumsum([0, *index["num_frames"]])
        if ends[-1] != len(self.frames):
            raise ValueError(
                f"{folder}: index.json lists {ends[-1]} frames, frames.npy "
                f"has {len(self.frames)}; delete this folder"
            )
        self._spans = {
            name: (int(first), int(last))
            for name, first, last in zip(
                index["ids"], ends, ends[1:], strict=False
            )
        }

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


class StoreWriter:
    """Appends utterances to a store.

    The first axis of the store is time, whatever is behind it: [sum of T, D],
    or [sum of T, L, D] of all layers. Rank `rank` writes its own part.
    `settings` go into the index.

    Example
    -------
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
        self.written = {row["id"]: row for row in self._rows()}
        """What was there when this run began: id, shape, about."""

    def write(self, name: str, values: torch.Tensor, **about: object) -> None:
        """Append values [T, ...]; they count once the journal lists them.

        `about` is kept in the index, a list each.

        Raises
        ------
        ValueError
            Naming an utterance with no frame or a value that is not finite.
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
        self._journal.append({"id": name, "shape": array.shape, **about})

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
        rows = {row["id"]: row for row in self._rows()}
        if (self.folder / PARTS).is_dir() and rows:
            earlier = [n for n, r in rows.items() if r["file"] == FRAMES]
            order = dict.fromkeys([*earlier, *names, *rows])
            self._join([rows[name] for name in order if name in rows])
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)

    def _opened(self, row_shape: Sequence[int]) -> BinaryIO:
        if self._data is None:
            rows = list(_part(self._journal.path))
            self._journal.restart(_without_place(row) for row in rows)
            self._own.touch()
            data = open(self._own, "r+b")
            # A header of the final length: the part may become the file.
            end = rows[-1]["stop"] if rows else _header(data, 0, row_shape)
            # Behind the last listed one there may be half of another.
            data.truncate(end)
            data.seek(end)
            self._data = data
        return self._data

    def _rows(self) -> Iterator[dict]:
        """List all utterances: id, shape, about, file and its first byte."""
        yield from self._complete()
        for path in journals(self.folder):
            yield from _part(path)

    def _complete(self) -> Iterator[dict]:
        if not (self.folder / INDEX).is_file():
            return
        index = json.loads((self.folder / INDEX).read_text("utf-8"))
        lists = {
            name: index[name]
            for name in index.get("columns", ["seconds"])
            if name in index
        }
        with open(self.folder / FRAMES, "rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            start = file.tell()
        width = int(np.prod(index["row_shape"]))
        for i, (name, frames) in enumerate(
            zip(index["ids"], index["num_frames"], strict=True)
        ):
            yield {
                "id": name,
                "shape": [frames, *index["row_shape"]],
                **{column: values[i] for column, values in lists.items()},
                "file": FRAMES,
                "first": start,
                "stop": start + 4 * frames * width,
            }
            start += 4 * frames * width

    def _join(self, rows: list[dict]) -> None:
        shape = rows[0]["shape"][1:]
        total = sum(row["shape"][0] for row in rows)
        columns = [
            name
            for name in rows[0]
            if name not in ("id", "shape", "file", "first", "stop")
        ]
        if _is_whole_file(rows):
            with open(self.folder / rows[0]["file"], "r+b") as file:
                _header(file, total, shape)
            os.replace(self.folder / rows[0]["file"], self.folder / FRAMES)
        else:
            with (
                replaced_file(self.folder / FRAMES) as unfinished,
                open(unfinished, "wb") as file,
            ):
                _header(file, total, shape)
                for row in rows:
                    file.write(_bytes(self.folder / row["file"], row))
        index = {
            "format": _FORMAT,
            **self.settings,
            "row_shape": shape,
            "columns": columns,
            "ids": [row["id"] for row in rows],
            "num_frames": [row["shape"][0] for row in rows],
            **{name: [row[name] for row in rows] for name in columns},
        }
        replace_text(self.folder / INDEX, json.dumps(index))


def write_features(
    folder: str | Path, features: Iterable[tuple[str, torch.Tensor]]
) -> Path:
    """Write a store at once; nobody sees it before it is complete.

    `features` are ids with frames [T, D], or one vector [D].

    Raises
    ------
    ValueError
        Naming an utterance with no frame or with a value that is not finite.
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


def _without_place(row: dict) -> dict:
    return {
        name: row[name] for name in row if name not in ("file", "first", "stop")
    }


def _part(path: Path) -> Iterator[dict]:
    """Read the journal of a part as far as the part has the data."""
    data = _data_of(path)
    end = data.stat().st_size if data.is_file() else 0
    start = None
    for row in Journal.read(path):
        if start is None:
            with open(os.devnull, "w+b") as nowhere:
                start = _header(nowhere, 0, row["shape"][1:])
        stop = start + 4 * int(np.prod(row["shape"]))
        if stop > end:
            return
        place = {"file": f"{PARTS}/{data.name}", "first": start, "stop": stop}
        yield {**row, **place}
        start = stop


def _is_whole_file(rows: list[dict]) -> bool:
    """Say whether the rows are one part, in its order and without gaps."""
    return rows[0]["file"] != FRAMES and all(
        row["file"] == rows[0]["file"] and row["first"] == before["stop"]
        for before, row in zip(rows, rows[1:], strict=False)
    )


def _bytes(path: Path, row: dict) -> bytes:
    with open(path, "rb") as file:
        file.seek(row["first"])
        return file.read(row["stop"] - row["first"])


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
