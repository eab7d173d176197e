#!/usr/bin/env python3
"""RESD, Russian Emotional Speech Dialogs (Aniemore, 2022).

What: 1396 utterances, 2.3 hours, of 50 acted dialogues in seven emotions; 16
and 44.1 kHz. Official parts: 1116 for training, 280 for test.
Licence: MIT.
Where: https://huggingface.co/datasets/Aniemore/resd (parquet; README.md says
how to write the folders and tables that are read here).
Layout: ``train.csv`` and ``test.csv`` (name, path, emotion), audio in
``train/<dialogue>/32_happiness_enthusiasm_h_120.wav`` and ``test/...``.
Names: dialogue, its two emotions, letter of this utterance's, time.
Traps: 301 names have a space before the letter; all 50 dialogues are in both
parts, so that test voices occur in training. Who speaks is not stated: the
speaker here is dialogue and letter (100). Table 1 of the paper says 200.

> python resd_prepare.py --data_folder DIR --manifest resd.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

NAME = re.compile(r"((\d+)_[a-z]+_[a-z]+)[ _]([adefhns])_(\d+)\.wav")
COUNTS = {
    "anger": 219,
    "disgust": 185,
    "enthusiasm": 198,
    "fear": 223,
    "happiness": 218,
    "neutral": 191,
    "sadness": 162,
}
EMOTIONS = {name[0]: name for name in COUNTS}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of both parts.

    Raises ValueError for a missing table, a name of another form, a table that
    contradicts the name, or audio that is in no table.
    """
    for part in ("train", "test"):
        table = data_folder / f"{part}.csv"
        if not table.is_file():
            raise ValueError(
                f"RESD: no {table}; README.md says how to export the corpus"
            )
        labels = {}
        for _, row in read_table(table, ("path", "emotion")):
            labels[row["path"].rsplit("/", 1)[-1]] = row
        found = match_names(data_folder / part, "*.wav", NAME)
        strange = [path for path, name in found if name[0] not in labels]
        if strange:
            raise ValueError(
                f"RESD: {table} does not list {strange[:5]}"
                f" ({len(strange)} files); put them into the right part"
            )
        paths = {name[0]: path for path, name in found}
        for name, row in labels.items():
            path = paths.get(name, row["path"])  # reported missing
            yield _utterance(part, table, name, f"{part}/{path}", row)


def _utterance(part, table, name, path, row):
    match = NAME.fullmatch(name)
    if match is None or EMOTIONS[match[3]] != row["emotion"]:
        raise ValueError(
            f"RESD: {table}: {name!r} does not have the name of a "
            f"{row['emotion']!r} utterance; correct one of them"
        )
    dialogue, number, letter, _ = match.groups()
    return Utterance(
        id=name.removesuffix(".wav").replace(" ", "_"),
        wav=path,
        emo_raw=letter,
        spk=f"{number}_{letter}",
        dialog=number,
        split=part,
        text=row.get("text"),
        extra={"dialogue": dialogue},
    )


CORPUS = Corpus(
    name="RESD",
    lang="ru",
    classes=tuple(COUNTS),
    label_map=EMOTIONS,
    expected={
        "utts": 1396,
        "speakers": 100,
        "hours": 2.341,
        "per_class": COUNTS,
        "per_split": {"train": 1116, "test": 280},
    },
    paper_table1={"utts": 1396, "speakers": 200, "hours": 2.3},
    parse=parse,
    label_files=("train.csv", "test.csv"),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
