#!/usr/bin/env python3
"""MSP-Podcast, release 1.8 (Lotfian & Busso, 2019).

What: 73,042 segments of English podcasts, 113.5 hours in the paper, 16 kHz
mono, 2 to 12 seconds, each rated on arousal, valence and dominance from 1 to
7. All labels are taken, also other (O) and no agreement (X); the label is
kept as ``extra["label"]``. For pre-training, and for regression of the ratings
with the parts Train, Validation and Test1.
Licence: academic agreement with the University of Texas at Dallas.
Where: https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html
Layout: ``Audios/MSP-PODCAST_0001_0008.wav`` (or ``Audio``) and
``Labels/labels_concensus.csv`` (also spelled ``labels_consensus.csv``). Beside
it, optional, what each worker said: ``labels_detailed.json`` or, in later
releases, ``labels_detailed.csv``. Of it the main emotion is a vote.
Traps: the paper counts 72,969, 73 fewer, which is not explained; a speaker
can be ``Unknown`` (1,273 are known); Test2 is of other podcasts and is left
out of the regression.

> python msp_podcast_prepare.py --data_folder DIR --manifest msp.json
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from speechbrain_e2v.corpora.folders import find_file
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import tally
from speechbrain_e2v.files.documents import read_json

TABLE = "labels_con[cs]ensus.csv"
RATINGS = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
COLUMNS = (
    "FileName",
    "EmoClass",
    *RATINGS.values(),
    "SpkrID",
    "Gender",
    "Split_Set",
)
FOLDERS = ("Audios", "Audio")
PARTS = {
    "Train": "train",
    "Validation": "valid",
    "Development": "valid",
    "Test1": "test",
    "Test2": "test",
}
GENDERS = {"Female": "F", "Male": "M"}
DETAILS = "labels_detailed"
EMOTIONS = {
    "A": "anger",
    "S": "sadness",
    "H": "happiness",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
}
VOTED = {"angry": "anger", "sad": "sadness", "happy": "happiness"}


class Worker(msgspec.Struct):
    """What one worker said of a segment; the rest is not read."""

    EmoClass_Major: str


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield every segment of the label table.

    Raises ValueError without the label table or the folder of audio, for a part
    that is not known, or for a rating that is no number.
    """
    table = find_file(data_folder, TABLE, "the release")
    folders = [name for name in FOLDERS if (data_folder / name).is_dir()]
    if not folders:
        raise ValueError(
            f"MSP-Podcast: none of {FOLDERS} in {data_folder}; give the "
            "unpacked MSP-PODCAST-Publish-1.8"
        )
    votes = _votes(table.parent)
    for line, row in read_table(table, COLUMNS):
        if row["Split_Set"] not in PARTS:
            raise ValueError(
                f"MSP-Podcast: {table}, line {line}: Split_Set is "
                f"{row['Split_Set']!r}; known are {sorted(PARTS)}"
            )
        speaker = row["SpkrID"]
        yield Utterance(
            id=row["FileName"].removesuffix(".wav"),
            wav=f"{folders[0]}/{row['FileName']}",
            spk="" if speaker == "Unknown" else speaker,
            gender=GENDERS.get(row["Gender"], "unknown"),
            split=PARTS[row["Split_Set"]],
            votes=votes.get(row["FileName"], {}),
            extra={
                "label": row["EmoClass"],
                "part": row["Split_Set"],
                **_ratings(table, line, row),
            },
        )


def parse_labelled(data_folder: Path) -> Iterator[Utterance]:
    """Yield every segment with its label; Test2 with one to leave it out."""
    for segment in parse(data_folder):
        unused = segment.extra["part"] == "Test2"
        label = "Test2" if unused else segment.extra["label"]
        yield replace(segment, emo_raw=label)


def parse_rated(data_folder: Path) -> Iterator[Utterance]:
    """Yield every segment; those of Test2 with a label to leave them out."""
    for segment in parse(data_folder):
        unused = segment.extra["part"] == "Test2"
        yield replace(segment, emo_raw="Test2" if unused else "")


def _votes(folder):
    """Of the workers, by file name; none without their labels."""
    details = folder / f"{DETAILS}.json"
    rows = defaultdict(list)
    if details.is_file():
        kind = dict[str, dict[str, Worker]]
        for name, workers in read_json(details, kind, 2**30).items():
            for worker, said in workers.items():
                rows[name].append((worker, _voted(said.EmoClass_Major)))
    elif (details := folder / f"{DETAILS}.csv").is_file():
        for line, row in read_table(details, ("FileName", "EmoClass_Major")):
            label = _voted(row["EmoClass_Major"])
            rows[row["FileName"]].append((str(line), label))
    return {name: tally(found) for name, found in rows.items()}


def _voted(said):
    """A class of what a worker wrote: ``Happy``, ``H``, ``Other-bored``."""
    if said in EMOTIONS:
        return EMOTIONS[said]
    name = said.strip().lower()
    return "other" if name.startswith("other") else VOTED.get(name, name)


def _ratings(table, line, row):
    try:
        found = {name: float(row[column]) for name, column in RATINGS.items()}
        if not all(map(math.isfinite, found.values())):
            raise ValueError("no finite number")
        return found
    except ValueError as error:
        given = {column: row[column] for column in RATINGS.values()}
        raise ValueError(
            f"MSP-Podcast: {table}, line {line}: {row['FileName']} is rated "
            f"{given} ({error})"
        ) from error


RATED = Corpus(
    name="MSP-Podcast",
    lang="en",
    classes=(),
    label_map={"Test2": None},
    # the published sizes of the parts; with Test2, 5037, they are the 73,042
    expected={
        "utts": 68005,
        "per_split": {"train": 44879, "valid": 7800, "test": 15326},
    },
    parse=parse_rated,
    label_files=(f"**/{TABLE}",),
    scales=dict.fromkeys(RATINGS, (1, 7)),
)
LABELLED = Corpus(
    name="MSP-Podcast",
    lang="en",
    classes=tuple(name for name in EMOTIONS.values() if name != "other"),
    # other, and no agreement: as in the challenges of 2024 and 2025
    label_map={**EMOTIONS, "O": None, "X": None, "Test2": None},
    parse=parse_labelled,
    label_files=(f"**/{TABLE}",),
)
CORPUS = Corpus(
    name="MSP-Podcast",
    lang="en",
    classes=(),
    label_map={},
    expected={"utts": 73042, "speakers": 1273},
    paper_table1={"utts": 72969, "hours": 113.5},
    parse=parse,
    label_files=(f"**/{TABLE}",),
    rated=RATED,
    labelled=LABELLED,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
