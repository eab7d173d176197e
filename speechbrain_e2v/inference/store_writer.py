"""Features of all clips in one memory-mapped file, written bit by bit.

While an extraction runs, each process appends to a part of its own, and lists
in a journal what is complete. Whoever starts again goes on behind the
journals, with as many processes as it likes. At the end one process joins the
parts to what `speechbrain_e2v.inference.feature_store.FeatureStore` reads.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np

from speechbrain_e2v.files.atomic import replace_text

FRAMES, INDEX = "frames.npy", "index.json"
_PARTS = ".parts"


class StoreWriter:
    """Appends clips to a store.

    The first axis of the store is time, also where all layers are kept:
    [sum of T, D] or [sum of T, L, D]; a clip has one row for utterances.

    Arguments
    ---------
    folder : str or Path
    settings : dict
        Layer, weights digest, ...: goes into the index.
    granularity : str
        "frame" or "utterance".
    rank : int
        Of this process: it writes part `rank`.

    Example
    -------
    >>> import torch
    >>> from speechbrain_e2v.inference.feature_store import FeatureStore
    >>> from speechbrain_e2v.inference.extractor import Features
    >>> folder = getfixture("tmp_path")
    >>> store = StoreWriter(folder, {"layer": "last"}, "frame")
    >>> values, times = torch.ones(3, 4), torch.arange(3)
    >>> store.write("a", Features("a.wav", values, times, 0.07))
    >>> store.close()
    >>> store.finish(["a"])
    >>> FeatureStore(folder).utterance("a").shape
    (3, 4)
    """

    def __init__(self, folder, settings, granularity, rank=0):
        self.folder = Path(folder)
        self.settings = settings
        self.granularity = granularity
        self._parts = self.folder / _PARTS
        self._own = self._parts / f"{rank:05d}.f32"
        self._journal = self._own.with_suffix(".jsonl")
        self._files = None
        self._written = {row["id"] for row in self._rows()}

    def has(self, name):
        """Say whether a clip was written when this run began."""
        return name in self._written

    def write(self, name, features):
        """Append one clip; it counts once the journal lists it.

        Arguments
        ---------
        name : str
        features : Features
        """
        values = features.values.numpy()
        if self.granularity == "utterance":
            values = values[..., None, :]  # one row of time
        values = np.ascontiguousarray(np.moveaxis(values, -2, 0), "<f4")
        row = {
            "id": name,
            "shape": values.shape,
            "seconds": features.seconds,
        }
        data, journal = self._opened()
        data.write(values.tobytes())
        data.flush()
        journal.write(json.dumps(row) + "\n")
        journal.flush()

    def close(self):
        """Close this process's part."""
        for file in self._files or ():
            file.close()
        self._files = None

    def finish(self, names):
        """Join the parts of all processes, which must be closed.

        Arguments
        ---------
        names : sequence of str
            Order of the store; clips of earlier extractions come first, and
            names without features are passed over.
        """
        rows = {row["id"]: row for row in self._rows()}
        if self._parts.is_dir() and rows:
            earlier = [n for n, r in rows.items() if r["file"] is None]
            order = dict.fromkeys([*earlier, *names, *rows])
            self._join([rows[name] for name in order if name in rows])
        shutil.rmtree(self._parts, ignore_errors=True)

    def _opened(self):
        if self._files is None:
            self._parts.mkdir(parents=True, exist_ok=True)
            rows = list(_journalled(self._own))
            end = rows[-1]["stop"] if rows else 0
            lines = [
                json.dumps({k: row[k] for k in ("id", "shape", "seconds")})
                for row in rows
            ]
            replace_text(self._journal, "".join(f"{x}\n" for x in lines))
            # Behind the last listed clip there may be half of another.
            self._own.touch()
            os.truncate(self._own, end)
            self._files = open(self._own, "ab"), open(self._journal, "a")
        return self._files

    def _rows(self):
        """List all clips: id, shape, seconds, file and first byte."""
        yield from self._complete()
        for path in sorted(self._parts.glob("*.f32")):
            yield from _journalled(path)

    def _complete(self):
        if not (self.folder / INDEX).is_file():
            return
        index = json.loads((self.folder / INDEX).read_text("utf-8"))
        start = 0
        for name, frames, seconds in zip(
            index["ids"], index["num_frames"], index["seconds"], strict=True
        ):
            shape = [frames, *index["row_shape"]]
            yield {
                "id": name,
                "shape": shape,
                "seconds": seconds,
                "file": None,
                "first": start,
            }
            start += frames

    def _join(self, rows):
        shape = rows[0]["shape"][1:]
        total = sum(row["shape"][0] for row in rows)
        temporary = self.folder / f".{FRAMES}.{os.getpid()}.tmp"
        old = None
        if any(row["file"] is None for row in rows):
            old = np.load(self.folder / FRAMES, mmap_mode="r")
        try:
            with open(temporary, "wb") as file:
                header = {
                    "descr": "<f4",
                    "fortran_order": False,
                    "shape": (total, *shape),
                }
                np.lib.format.write_array_header_1_0(file, header)
                for row in rows:
                    _values(row, old).tofile(file)
            os.replace(temporary, self.folder / FRAMES)
        finally:
            temporary.unlink(missing_ok=True)
        index = {
            "format": 1,
            **self.settings,
            "row_shape": shape,
            "ids": [row["id"] for row in rows],
            "num_frames": [row["shape"][0] for row in rows],
            "seconds": [row["seconds"] for row in rows],
        }
        replace_text(self.folder / INDEX, json.dumps(index))


def _journalled(path):
    """Read the journal of a part as far as the part has the data."""
    journal = path.with_suffix(".jsonl")
    if not (journal.is_file() and path.is_file()):
        return
    end = path.stat().st_size
    start = 0
    for line in journal.read_text("utf-8").split("\n")[:-1]:
        row = json.loads(line)
        stop = start + 4 * int(np.prod(row["shape"]))
        if stop > end:
            return
        yield {**row, "file": path, "first": start, "stop": stop}
        start = stop


def _values(row, old):
    if row["file"] is None:
        return old[row["first"] : row["first"] + row["shape"][0]]
    return np.fromfile(
        row["file"],
        dtype="<f4",
        count=int(np.prod(row["shape"])),
        offset=row["first"],
    )
