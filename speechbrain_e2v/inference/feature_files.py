"""Folders of extracted features: a file a clip, or one store of all.

A folder knows how its features were made (``extraction.json``) and of which
content each was made (``index.json``), so that nobody takes another clip's
features for the ones that were asked for.
"""

import json
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from speechbrain_e2v.corpora.walk import path_text
from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.inference.clips import Clip
from speechbrain_e2v.inference.extractor import Features
from speechbrain_e2v.inference.feature_index import (
    INDEX,
    PARTS,
    Content,
    Journal,
    Row,
    journals,
    read_index,
    write_index,
)
from speechbrain_e2v.inference.feature_store import StoreWriter

SETTINGS = "extraction.json"


def demand_same_settings(folder: str | Path, settings: dict) -> None:
    """Write how features in a folder are made, or compare with what is there.

    ``about`` is written, but may differ.

    Raises ValueError naming the first setting that differs.

    >>> folder = getfixture("tmp_path")
    >>> demand_same_settings(folder, {"layer": "last"})
    >>> demand_same_settings(folder, {"layer": "all"})
    Traceback (most recent call last):
    ...
    ValueError: ... layer is 'last' there and 'all' now; ...
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        replace_text(path, json.dumps(settings, indent=1) + "\n")
        return
    there = read_json(path, dict[str, Any])
    for name in {**there, **settings}:
        if name != "about" and there.get(name) != settings.get(name):
            raise ValueError(
                f"{folder} holds features made otherwise: {name} is "
                f"{there.get(name)!r} there and {settings.get(name)!r} now; "
                "give another folder, or delete this one"
            )


def content_of(clip: Clip) -> Content:
    """What a clip's features are made of: file, its bytes, the piece of it.

    >>> path = getfixture("tmp_path") / "a.wav"
    >>> _ = path.write_bytes(b"abc")
    >>> content_of(Clip("a", str(path), start=1.0)).size
    3
    """
    path = Path(clip.source)
    status = path.stat()
    # A file that changes while this runs has another time, which nobody sets.
    digest = _digest(path, status.st_size, status.st_ctime_ns)
    file = path_text(str(path.absolute()))
    return Content(file, status.st_size, digest, clip.start, clip.stop)


def is_made_of(name: str, there: Content | None, now: Content) -> bool:
    """Whether features that are there are of this content.

    Raises ValueError when they are of another file's: both cannot have this
    id.

    >>> there = Content("/a.wav", 9, "4e38", None, None)
    >>> is_made_of("x", there, Content("/moved/a.wav", 9, "4e38", None, None))
    True
    """
    if there is None:
        return False
    if msgspec.structs.replace(there, file=now.file) == now:
        return True
    if there.file != now.file:
        raise ValueError(
            f"{name} is there already, made of {there.file}, and is now "
            f"{now.file} with other content: give another folder"
        )
    return False


@lru_cache(maxsize=1024)  # several clips may be pieces of one file
def _digest(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


class FeatureFiles:
    """Writes a file a clip, whole or not at all.

    ``.npy`` has the values alone; ``.npz`` `features`, `times` (s) and
    `seconds`.

    >>> import torch
    >>> files = FeatureFiles(getfixture("tmp_path"), {}, ".npy")
    >>> times = torch.tensor([0.0125])
    >>> features = Features("b.wav", torch.ones(1, 4), times, 0.03)
    >>> content = Content("/b.wav", 9, "4e38", None, None)
    >>> files.write("a/b", features, content)
    >>> np.load(files.path("a/b")).shape
    (1, 4)
    """

    def __init__(
        self, folder: str | Path, settings: dict, suffix: str, rank: int = 0
    ):
        self.folder = Path(folder)
        self._settings = settings
        self._suffix = suffix
        self._journal = Journal(self.folder, rank)
        self._there = self._contents()

    def path(self, name: str) -> Path:
        """The file of a clip."""
        return self.folder / f"{name}{self._suffix}"

    def made_of(self, name: str) -> Content | None:
        """Content of the clip that was there when this run began."""
        return self._there.get(name) if self.path(name).is_file() else None

    def write(self, name: str, features: Features, content: Content) -> None:
        """Write one clip."""
        with replaced_file(self.path(name)) as path, open(path, "wb") as file:
            if self._suffix == ".npy":
                np.save(file, features.values.numpy())
            else:
                np.savez(
                    file,
                    features=features.values.numpy(),
                    times=features.times.numpy(),
                    seconds=features.seconds,
                )
        self._journal.append(Row(name, content=content))

    def close(self) -> None:
        """Close this process's journal."""
        self._journal.close()

    def finish(self, names: Sequence[str]) -> None:
        """Write the index of what all processes have written, in any order."""
        contents = self._contents()
        rows = [Row(name, content=made) for name, made in contents.items()]
        write_index(self.folder, self._settings, rows)
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)

    def _contents(self) -> dict[str, Content]:
        rows: list[Row] = []
        if (self.folder / INDEX).is_file():
            rows += read_index(self.folder).rows()
        for path in journals(self.folder):
            rows += Journal.read(path)
        return {row.id: row.content for row in rows if row.content is not None}


class StoreFiles:
    """Writes all clips to a `FeatureStore`; a clip of utterances has one row.

    The first axis of the store is time, also where all layers are kept:
    [sum of T, D] or [sum of T, L, D].
    """

    def __init__(
        self, folder: str | Path, settings: dict, granularity: str, rank: int
    ):
        self._writer = StoreWriter(folder, settings, rank)
        self._granularity = granularity

    def made_of(self, name: str) -> Content | None:
        """Content of the clip that was there when this run began."""
        row = self._writer.written.get(name)
        return None if row is None else row.content

    def write(self, name: str, features: Features, content: Content) -> None:
        """Append one clip."""
        values = features.values
        if self._granularity == "utterance":
            values = values.unsqueeze(-2)  # one row of time
        self._writer.write(
            name,
            values.movedim(-2, 0),
            features.seconds,
            content,
        )

    def close(self) -> None:
        """Close this process's part."""
        self._writer.close()

    def finish(self, names: Sequence[str]) -> None:
        """Join the parts of all processes, in the order of the names."""
        self._writer.finish(names)
