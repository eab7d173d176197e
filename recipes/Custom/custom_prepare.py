#!/usr/bin/env python3
"""Your own corpus: a table of audio files and labels, in any set of classes.

Layout: ``labels.csv`` in the data folder, UTF-8, with a header; or a table
anywhere, given with ``--labels``:

    path,label,speaker,start,end,split
    calls/0001.wav,angry,anna,,,train
    calls/0002.wav,calm,ben,1.50,3.25,test

``path`` is relative to the data folder, or absolute, in any format that
libsndfile or ffmpeg reads and at any sample rate. ``speaker`` (needed by
speaker-disjoint protocols), ``session``, ``gender`` (F, M or unknown),
``text``, ``language`` (a code such as de), ``age`` (kept as it is), ``votes``
(what annotators said and how often: ``angry:2;calm:1``), ``start`` and ``end``
(seconds, for a piece of a file) and ``split`` (train, valid or test, for the
official protocol) may be left out or empty.
Classes are the labels in order of the alphabet, or the lines of
``classes.txt``, beside the table, in the order there; labels which that file
does not have are an error. Labels are compared as they look: composed, without
blanks around them and invisible characters.

> python custom_prepare.py --data_folder DIR --manifest custom.json
"""

import logging
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from speechbrain_e2v.corpora.label_tables import (
    clean_label,
    read_table,
    read_text,
    refuse_near_equal,
)
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import parse_votes

_logger = logging.getLogger(__name__)
TABLE = "labels.csv"
NEEDED = ("path", "label")
COLUMNS = (
    *NEEDED, "speaker", "start", "end", "split", "session", "gender", "text",
    "age", "language", "votes",
)  # fmt: skip
PARTS = {
    "": None,
    "train": "train",
    "valid": "valid",
    "dev": "valid",
    "test": "test",
}
GENDERS = {
    "": "unknown",
    "unknown": "unknown",
    "f": "F",
    "female": "F",
    "m": "M",
    "male": "M",
}


def read_classes(
    data_folder: Path, table: Path | None = None
) -> tuple[str, ...]:
    """Classes in order, of the table and of ``classes.txt`` beside it.

    Raises ValueError for classes that are there twice or look alike, and for
    labels that ``classes.txt`` does not have.
    """
    table = table or data_folder / TABLE
    labels = {clean_label(row["label"]) for _, row in _rows(table)}
    path = table.parent / "classes.txt"
    if not path.is_file():
        refuse_near_equal(labels, f"Custom: {table}")
        return tuple(sorted(labels))
    lines = read_text(path).splitlines()
    classes = [clean_label(line) for line in lines if line.strip()]
    if len(set(classes)) < len(classes):
        raise ValueError(f"Custom: {path} has a class twice: {classes}")
    unknown = sorted(labels - set(classes))
    if unknown:
        raise ValueError(
            f"Custom: {table} has the labels {unknown}, which are not in "
            f"{path}; correct one of them"
        )
    unused = [name for name in classes if name not in labels]
    if unused:
        _logger.warning(
            "Custom: %s names %s, which no row of %s has", path,
            ", ".join(unused), table,
        )  # fmt: skip
    return tuple(classes)


def parse(data_folder: Path, table: Path | None = None) -> Iterator[Utterance]:
    """Yield the rows of the table, ``labels.csv`` unless another is given.

    Raises ValueError naming the file and the line: no table, unknown columns,
    no path or label, a piece that ends before it starts, an unknown split or
    gender.
    """
    table = table or data_folder / TABLE
    for line, row in _rows(table):
        row = {name: row.get(name, "").strip() for name in COLUMNS}
        try:
            split = _one_of("split", row["split"], PARTS)
            gender = _one_of("gender", row["gender"], GENDERS)
            start, stop = _seconds(row["start"]), _seconds(row["end"])
            if stop is not None and stop <= (start or 0.0):
                raise ValueError(f"end is {stop} s, start is {start or 0} s")
            label = clean_label(row["label"])
            votes = parse_votes(row["votes"])
        except ValueError as error:
            raise ValueError(
                f"Custom: {table}, line {line}: {error}"
            ) from error
        path = _path(data_folder, row["path"].replace("\\", "/"))
        name = os.path.splitext(path)[0].strip("/").replace("/", "__")
        if start is not None or stop is not None:
            name += f"@{row['start'] or 0}-{row['end'] or 'end'}"
        yield Utterance(
            id=name,
            wav=path,
            emo_raw=label,
            spk=row["speaker"],
            gender=gender or "unknown",
            split=split,
            session=row["session"] or None,
            start=start,
            stop=stop,
            text=row["text"] or None,
            lang=row["language"],
            votes=votes,
            extra={"age": row["age"]} if row["age"] else {},
        )


def _path(data_folder: Path, path: str) -> str:
    """Relative to the data folder where it is inside, else absolute."""
    root = os.path.abspath(data_folder)
    whole = os.path.normpath(os.path.join(root, path))
    inside = os.path.commonpath([root, whole]) == root
    return Path(os.path.relpath(whole, root) if inside else whole).as_posix()


def _one_of(
    name: str, value: str, known: dict[str, str | None] | dict[str, str]
) -> str | None:
    if value.lower() not in known:
        ways = sorted({str(v) for v in known.values() if v})
        raise ValueError(
            f"{name} is {value!r}; use {', '.join(ways[:-1])} or {ways[-1]}"
        )
    return known[value.lower()]


def _seconds(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r} is not a time in seconds")
    return value


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    if not table.is_file():
        raise ValueError(
            f"Custom: no {table}; it has the columns {','.join(COLUMNS)}, "
            "all but path and label optional; another table: --labels FILE"
        )
    for line, row in read_table(table, NEEDED):
        unknown = sorted(set(row) - set(COLUMNS))
        empty = [name for name in NEEDED if not row[name].strip()]
        if unknown or empty:
            raise ValueError(
                f"Custom: {table}, line {line}: "
                + (f"unknown columns {unknown}, known are {COLUMNS}"
                   if unknown else f"no {' and no '.join(empty)}")
            )  # fmt: skip
        yield line, row


def listed_by(table: Path) -> Corpus:
    """The corpus of a table that lies anywhere."""
    table = Path(os.path.abspath(table))
    return Corpus(
        name="Custom",
        lang="",
        classes=(),
        label_map={},
        parse=partial(parse, table=table),
        label_files=(str(table),),
        strict_pieces=True,
        read_labels=partial(read_classes, table=table),
    )


CORPUS = Corpus(
    name="Custom",
    lang="",
    classes=(),
    label_map={},
    parse=parse,
    label_files=(TABLE,),
    listed_by=listed_by,
    strict_pieces=True,
    read_labels=read_classes,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
