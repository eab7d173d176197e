#!/usr/bin/env python3
"""Your own corpus: a table of audio files and labels, in any set of classes.

Layout: ``labels.csv`` in the data folder, UTF-8, with a header:

    path,label,speaker,start,end,split
    calls/0001.wav,angry,anna,,,train
    calls/0002.wav,calm,ben,1.50,3.25,test

``path`` is relative to the data folder, in any format that libsndfile reads
and at any sample rate. ``speaker`` (needed by speaker-disjoint protocols),
``start`` and ``end`` (seconds, for a piece of a file) and ``split`` (train,
valid or test, for the official protocol) may be left out or empty. Classes are
the labels in order of the alphabet, or the lines of ``classes.txt`` in the
order there; labels which that file does not have are an error.

> python custom_prepare.py --data_folder DIR --manifest custom.json
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

TABLE = "labels.csv"
COLUMNS = ("path", "label", "speaker", "start", "end", "split")
PARTS = {
    "": None,
    "train": "train",
    "valid": "valid",
    "dev": "valid",
    "test": "test",
}


def read_classes(data_folder):
    """Classes in order."""
    labels = {row["label"].strip() for _, row in _rows(data_folder)}
    path = data_folder / "classes.txt"
    if not path.is_file():
        return tuple(sorted(labels))
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    classes = [line.strip() for line in lines if line.strip()]
    if len(set(classes)) < len(classes):
        raise ValueError(f"Custom: {path} has a class twice: {classes}")
    unknown = sorted(labels - set(classes))
    if unknown:
        raise ValueError(
            f"Custom: {data_folder / TABLE} has the labels {unknown}, which "
            f"are not in {path}; correct one of them"
        )
    return tuple(classes)


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the rows of ``labels.csv``.

    Raises ValueError naming the file and the line: no table, unknown columns,
    no path or label, a piece that ends before it starts, an unknown split.
    """
    for line, row in _rows(data_folder):
        row = {name: row.get(name, "").strip() for name in COLUMNS}
        path = row["path"].replace("\\", "/")
        try:
            if row["split"].lower() not in PARTS:
                raise ValueError(
                    f"split is {row['split']!r}; use train, valid or test"
                )
            start, stop = _seconds(row["start"]), _seconds(row["end"])
            if stop is not None and stop <= (start or 0.0):
                raise ValueError(f"end is {stop} s, start is {start or 0} s")
        except ValueError as error:
            raise ValueError(
                f"Custom: {data_folder / TABLE}, line {line}: {error}"
            ) from error
        name = os.path.splitext(path)[0].strip("/").replace("/", "__")
        if start is not None or stop is not None:
            name += f"@{row['start'] or 0}-{row['end'] or 'end'}"
        yield Utterance(
            id=name,
            wav=path,
            emo_raw=row["label"],
            spk=row["speaker"],
            split=PARTS[row["split"].lower()],
            start=start,
            stop=stop,
        )


def _seconds(text):
    if not text:
        return None
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r} is not a time in seconds")
    return value


def _rows(data_folder):
    table = data_folder / TABLE
    if not table.is_file():
        raise ValueError(
            f"Custom: no {table}; it has the columns {','.join(COLUMNS)}, "
            "all but path and label optional"
        )
    for line, row in read_table(table, COLUMNS[:2]):
        unknown = sorted(set(row) - set(COLUMNS))
        empty = [name for name in COLUMNS[:2] if not row[name].strip()]
        if unknown or empty:
            raise ValueError(
                f"Custom: {table}, line {line}: "
                + (f"unknown columns {unknown}, known are {COLUMNS}"
                   if unknown else f"no {' and no '.join(empty)}")
            )  # fmt: skip
        yield line, row


CORPUS = Corpus(
    name="Custom",
    lang="",
    classes=(),
    label_map={},
    parse=parse,
    label_files=(TABLE,),
    read_labels=read_classes,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
