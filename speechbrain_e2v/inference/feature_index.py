"""What a folder of features holds: an index, and journals until it is whole."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import msgspec

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import BadDocument, read_json

INDEX, PARTS = "index.json", ".parts"
_MAX_BYTES = 2**32  # ten million clips
_Axis = Annotated[int, msgspec.Meta(ge=1, le=2**40)]


class Content(msgspec.Struct, frozen=True):
    """What features are made of: a file, its bytes, the piece of it (s)."""

    file: str
    size: int
    sha256: str
    start: float | None
    stop: float | None


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One clip: its id, in a store the shape of its values [T, ...]."""

    id: str
    shape: list[_Axis] = []
    seconds: float | None = None
    content: Content | None = None


class Index(msgspec.Struct):
    """``index.json``; of clips in files there are no frames."""

    ids: list[str]
    format: Literal[1, "npy", "npz", "store"] = 1
    num_frames: list[_Axis] = []
    row_shape: list[_Axis] | None = None
    seconds: list[float] = []
    content: list[Content] = []

    def __post_init__(self) -> None:
        if len(set(self.ids)) < len(self.ids):
            raise ValueError("an id is there twice")
        for key in ("num_frames", "seconds", "content"):
            if len(getattr(self, key)) not in (0, len(self.ids)):
                raise ValueError(
                    f"{key} has {len(getattr(self, key))} entries, but there "
                    f"are {len(self.ids)} ids"
                )

    def rows(self) -> Iterator[Row]:
        """The clips, in order."""
        for i, name in enumerate(self.ids):
            yield Row(
                name,
                [self.num_frames[i], *(self.row_shape or ())]
                if self.num_frames
                else [],
                self.seconds[i] if self.seconds else None,
                self.content[i] if self.content else None,
            )


def read_index(folder: Path) -> Index:
    """Read ``index.json``; a BadDocument names file and key.

    >>> folder = getfixture("tmp_path")
    >>> write_index(folder, {"layer": "last"}, [Row("a", [3, 2], 0.07)])
    >>> read_index(folder).num_frames
    [3]
    """
    way_out = "delete this folder, and make its features again"
    return read_json(folder / INDEX, Index, _MAX_BYTES, way_out)


def write_index(
    folder: Path, settings: dict[str, Any], rows: list[Row]
) -> None:
    """Write ``index.json``: how features were made, and what there is."""
    index: dict[str, Any] = {"format": 1, **settings}
    index["ids"] = [row.id for row in rows]
    if rows and rows[0].shape:
        index["row_shape"] = rows[0].shape[1:]
        index["num_frames"] = [row.shape[0] for row in rows]
    for key in ("seconds", "content"):
        # Clips of a folder that an older version began may lack them.
        if all(getattr(row, key) is not None for row in rows):
            index[key] = [
                msgspec.to_builtins(getattr(row, key)) for row in rows
            ]
    replace_text(folder / INDEX, json.dumps(index))


class Journal:
    """Rows of one process, a line of JSON each.

    >>> journal = Journal(getfixture("tmp_path"), rank=0)
    >>> journal.append(Row("a"))
    >>> journal.close()
    >>> [row.id for row in Journal.read(journal.path)]
    ['a']
    """

    def __init__(self, folder: str | Path, rank: int):
        self.path = Path(folder) / PARTS / f"{rank:05d}.jsonl"
        self._file: TextIO | None = None

    @staticmethod
    def read(path: Path) -> Iterator[Row]:
        """Rows that are whole; the last line of a killed process is not."""
        if not path.is_file():
            return
        lines = path.read_bytes().split(b"\n")[:-1]
        for number, line in enumerate(lines, 1):
            try:
                yield msgspec.json.decode(line, type=Row)
            except ValueError as error:  # also msgspec's
                raise BadDocument(
                    f"{path}: line {number}: {error}: delete "
                    f"{path.parent}, and start again."
                ) from None

    def restart(self, rows: Iterable[Row]) -> TextIO:
        """Keep these rows of an earlier run, and append behind them."""
        self.close()
        replace_text(self.path, "".join(_line(row) for row in rows))
        self._file = open(self.path, "a", encoding="utf-8")
        return self._file

    def append(self, row: Row) -> None:
        """Add a row; what it lists must be on its way to the disk."""
        file = self._file or self.restart(list(self.read(self.path)))
        file.write(_line(row))
        file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None


def journals(folder: str | Path) -> list[Path]:
    """Journals of all processes of all runs that did not finish a folder."""
    return sorted((Path(folder) / PARTS).glob("*.jsonl"))


def _line(row: Row) -> str:
    # json escapes what is not ASCII, also half of a surrogate pair.
    return json.dumps(msgspec.to_builtins(row)) + "\n"
