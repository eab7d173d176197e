"""What is written so far, by any number of processes, also killed ones."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from speechbrain_e2v.files.atomic import replace_text

PARTS = ".parts"


class Journal:
    """Rows of one process, a line of JSON each.

    Example
    -------
    >>> journal = Journal(getfixture("tmp_path"), rank=0)
    >>> journal.append({"id": "a"})
    >>> journal.close()
    >>> list(Journal.read(journal.path))
    [{'id': 'a'}]
    """

    def __init__(self, folder: str | Path, rank: int):
        self.path = Path(folder) / PARTS / f"{rank:05d}.jsonl"
        self._file: TextIO | None = None

    @staticmethod
    def read(path: Path) -> Iterator[dict]:
        """Rows that are whole; the last line of a killed process is not."""
        if path.is_file():
            for line in path.read_text("utf-8").split("\n")[:-1]:
                yield json.loads(line)

    def restart(self, rows: Iterable[dict]) -> TextIO:
        """Keep these rows of an earlier run, and append behind them."""
        self.close()
        lines = [json.dumps(row) + "\n" for row in rows]
        replace_text(self.path, "".join(lines))
        self._file = open(self.path, "a", encoding="utf-8")
        return self._file

    def append(self, row: dict) -> None:
        """Add a row; what it lists must be on its way to the disk."""
        file = self._file or self.restart(list(self.read(self.path)))
        file.write(json.dumps(row) + "\n")
        file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None


def journals(folder: str | Path) -> list[Path]:
    """Journals of all processes of all runs that did not finish a folder."""
    return sorted((Path(folder) / PARTS).glob("*.jsonl"))
