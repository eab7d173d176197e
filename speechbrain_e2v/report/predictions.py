"""``predictions.csv``, read: every tested utterance, fold and seed."""

import csv
from collections.abc import Sequence
from pathlib import Path

from speechbrain_e2v.files.documents import BadDocument

MAX_BYTES = 2**30
PAIRS = ("reference", "predicted")
_WAY_OUT = "run the recipe again"

Predictions = dict[str, list[str]]
"""Columns of one length."""


def read_predictions(
    path: str | Path, columns: Sequence[str] = PAIRS
) -> Predictions:
    """``seed, fold, id, speaker`` and the columns that are asked for.

    An utterance of unknown speaker is its own speaker. Raises BadDocument
    naming file and line; FileNotFoundError.

    >>> path = getfixture("tmp_path") / "predictions.csv"
    >>> _ = path.write_text("seed,fold,id,speaker,predicted\\n1,a,u,,x\\n")
    >>> read_predictions(path, ["predicted"])["speaker"]
    ['u']
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _bad(path, f"{size} bytes, where {MAX_BYTES} are the most")
    columns = ("seed", "fold", "id", "speaker", *columns)
    found: Predictions = {name: [] for name in columns}
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            for name in columns:
                if header.count(name) != 1:
                    count = "no" if name not in header else "more than one"
                    raise _bad(path, f"{count} column {name}")
            places = [header.index(name) for name in columns]
            for row in reader:
                if len(row) != len(header):
                    raise _bad(
                        path,
                        f"line {reader.line_num}: {len(row)} cells under "
                        f"{len(header)} headings",
                    )
                for name, place in zip(columns, places, strict=True):
                    found[name].append(row[place])
        except csv.Error as error:
            raise _bad(path, f"line {reader.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise _bad(path, f"no UTF-8 text ({error.reason})") from None
    if not found["id"]:
        raise _bad(path, "no utterance")
    found["speaker"] = [
        speaker or name
        for speaker, name in zip(found["speaker"], found["id"], strict=True)
    ]
    return found


def _bad(path: Path, problem: str) -> BadDocument:
    return BadDocument(f"{path}: {problem}: {_WAY_OUT}.")
