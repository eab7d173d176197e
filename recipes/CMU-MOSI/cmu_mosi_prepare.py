#!/usr/bin/env python3
"""CMU-MOSI, opinions from YouTube (Zadeh et al., 2016).

What: 2199 segments, 2.6 hours, of 93 videos of English speech, 16 kHz, with
the sentiment in [-3, 3]: above zero is positive, below is negative, zero is
left out (2103 remain). The standard folds are by video.
Licence: research; the videos remain YouTube's.
Where: ``CMU_MOSI.zip`` of CMU MultiComp.
Layout: ``Raw/Audio/WAV_16000/Segmented/<video>_<n>.wav`` (or without
``Raw``), ``Raw/Labels/OpinionLevelSentiment.csv`` (no header: start, end,
video, segment, label) and, for text,
``Raw/Transcript/Segmented/<video>.annotprocessed``.
Folds: ``mosi_folds.json`` beside this script has the videos of validation and
test of the CMU-MultimodalSDK; the others train.
Traps: video ids contain ``-`` and ``_``; transcripts do not cover every
segment; -0.0 is zero.

> python cmu_mosi_prepare.py --data_folder DIR --manifest mosi.json
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

FOLDS = json.loads(
    (Path(__file__).parent / "mosi_folds.json").read_text(encoding="utf-8")
)
LABELS = "Labels/OpinionLevelSentiment.csv"


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the labelled segments.

    Raises ValueError for a missing label file, or a line of another form.
    """
    root = "Raw/" if (data_folder / "Raw").is_dir() else ""
    path = data_folder / root / LABELS
    if not path.is_file():
        raise ValueError(f"CMU-MOSI: no {path}; unpack CMU_MOSI.zip here")
    part_of = {v: part for part in ("valid", "test") for v in FOLDS[part]}
    transcripts = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            video, segment, score = _fields(path, number, row)
            if video not in transcripts:
                transcripts[video] = _transcript(
                    data_folder / root / "Transcript/Segmented", video
                )
            yield Utterance(
                id=f"{video}_{segment}",
                wav=f"{root}Audio/WAV_16000/Segmented/{video}_{segment}.wav",
                emo_raw=_sentiment(score),
                spk=video,
                split=part_of.get(video, "train"),
                dialog=video,
                text=transcripts[video].get(segment),
                extra={"sentiment": score},
            )


def parse_rated(data_folder: Path) -> Iterator[Utterance]:
    """Yield every segment, also those with a sentiment of zero."""
    for segment in parse(data_folder):
        yield replace(segment, emo_raw="")


def _fields(path, number, row):
    try:
        start, end, video, segment, label = row
        float(start), float(end)
        score = float(label)
        if not -3 <= score <= 3:
            raise ValueError(f"sentiment {score}")
        return video, str(int(segment)), score
    except ValueError as error:
        raise ValueError(
            f"CMU-MOSI: {path}, line {number}: {row} is not start, end, "
            f"video, segment, label ({error})"
        ) from error


def _sentiment(score):
    if score == 0:
        return "neutral"
    return "positive" if score > 0 else "negative"


def _transcript(folder, video):
    path = folder / f"{video}.annotprocessed"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    pairs = [line.strip().partition("_DELIM_") for line in lines]
    return {number: text for number, delimiter, text in pairs if delimiter}


RATED = Corpus(
    name="CMU-MOSI",
    lang="en",
    classes=(),
    label_map={},
    expected={
        "utts": 2199,
        "per_split": {"train": 1284, "valid": 229, "test": 686},
    },
    parse=parse_rated,
    label_files=(f"**/{LABELS}",),
    scales={"sentiment": (-3, 3)},
)
CORPUS = Corpus(
    name="CMU-MOSI",
    lang="en",
    classes=("negative", "positive"),
    label_map={
        "negative": "negative",
        "positive": "positive",
        "neutral": None,
    },
    expected={
        "utts": 2103,
        "per_class": {"negative": 1023, "positive": 1080},
        "per_split": {"train": 1231, "valid": 216, "test": 656},
    },
    paper_table1={"utts": 2199, "speakers": 89, "hours": 2.6},
    parse=parse,
    label_files=(f"**/{LABELS}",),
    rated=RATED,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
