#!/usr/bin/env python3
"""CMU-MOSEI, opinions from YouTube (Bagher Zadeh et al., 2018).

What: 3837 videos of English speech, 16 kHz. Sentiment of 23,259 segments in
[-3, 3]: above zero is positive, below is negative, zero is left out (17,858
remain in the standard folds). For pre-training, all transcribed segments
(44,977 and 91.9 hours, the paper says).
Licence: research; the videos remain YouTube's.
Where: ``CMU_MOSEI.zip`` of CMU MultiComp; folds: ``cmu_mosei_std_folds.py`` of
https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK; labels: ``label.csv``
of MMSA and MERTools (the sentiment itself, 22,856 segments of the folds), or
without it ``CMU_MOSEI_Labels.csv`` of https://github.com/s3prl/s3prl
(downstream/mosei; its sign, 17,864 that are not zero). The files go anywhere
below the data folder. The labels as csd (HDF5) are not read.
Layout: ``Raw/Audio/Full/WAV_16000/<video>.wav`` (or without ``Raw``) and
``Raw/Transcript/Segmented/Combined/<video>.txt``.
Traps: s3prl's labels and the transcripts number segments differently, so
these are matched by times; 239 labels start before zero (cut to zero); text
may contain the separator; video ids begin with ``-`` or ``_``, or end with
``_``; whole videos are one file, so that rows carry start and stop.

> python cmu_mosei_prepare.py --data_folder DIR --manifest mosei.json
"""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from speechbrain_e2v.corpora.folders import find_file, list_files
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

FOLDS_FILE = "cmu_mosei_std_folds.py"
FOLDS = {
    "standard_train_fold": "train",
    "standard_valid_fold": "valid",
    "standard_test_fold": "test",
}
SCORES_FILE = "label.csv"
SIGNS_FILE = "CMU_MOSEI_Labels.csv"
SIGNS = {"-1": "negative", "0": "neutral", "1": "positive"}
_MILLISECONDS = 3


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the labelled segments of the standard folds.

    Raises ValueError for a missing label or fold file, a transcript line of
    another form, or a label that is none.
    """
    if _has_scores(data_folder):
        yield from _scored(data_folder)
    else:
        yield from _signed(data_folder)


def parse_rated(data_folder: Path) -> Iterator[Utterance]:
    """Yield the segments of the folds, also those with a sentiment of zero."""
    for segment in _scored(data_folder):
        unused = segment.emo_raw == "in no fold"
        yield replace(segment, emo_raw="in no fold" if unused else "")


def _has_scores(data_folder):
    return any(data_folder.rglob(SCORES_FILE))


def _scored(data_folder):
    """Segments of label.csv, which numbers them as the transcripts do."""
    segments = {u.id: u for u in parse_all(data_folder)}
    path = find_file(data_folder, SCORES_FILE, "MMSA and MERTools")
    for line, row in read_table(path, ("video_id", "clip_id", "label")):
        name = f"{row['video_id']}_{row['clip_id']}"
        try:
            score = float(row["label"])
            if not -3 <= score <= 3:
                raise ValueError(f"sentiment {score}")
            segment = segments[name]
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"CMU-MOSEI: {path}, line {line}: {name} with the sentiment "
                f"{row['label']!r} is no segment with a sentiment in [-3, 3] "
                f"({error!r})"
            ) from error
        sentiment = SIGNS[str((score > 0) - (score < 0))]
        yield replace(
            segment,
            emo_raw=sentiment if segment.split else "in no fold",
            extra={"sentiment": score},
        )


def _signed(data_folder):
    """Segments of s3prl's file, found in the transcripts by their times."""
    times = {
        (u.spk, _rounded(u.start), _rounded(u.stop)): u
        for u in parse_all(data_folder)
    }
    part_of = _folds(data_folder)
    table = find_file(data_folder, SIGNS_FILE, "s3prl's downstream/mosei")
    for line, row in read_table(table, ("file", "start", "end", "label2b")):
        video = row["file"]
        start = max(0.0, float(row["start"]))
        stop = float(row["end"])
        if row["label2b"] not in SIGNS:
            raise ValueError(
                f"CMU-MOSEI: {table}, line {line}: label2b is "
                f"{row['label2b']!r}; known are {sorted(SIGNS)}"
            )
        known = times.get((video, _rounded(start), _rounded(stop)))
        yield Utterance(
            id=known.id if known else f"{video}_line{line}",
            wav=f"{_root(data_folder)}Audio/Full/WAV_16000/{video}.wav",
            emo_raw=SIGNS[row["label2b"]] if video in part_of else "in no fold",
            spk=video,
            split=part_of.get(video),
            dialog=video,
            start=start,
            stop=stop,
            text=known.text if known else None,
        )


def parse_all(data_folder: Path) -> Iterator[Utterance]:
    """Yield every transcribed segment; the part is that of its video."""
    root, part_of = _root(data_folder), _folds(data_folder)
    folder = data_folder / f"{root}Transcript/Segmented/Combined"
    for path in list_files(folder, "*.txt"):
        video = path.removesuffix(".txt")
        text = (folder / path).read_text(encoding="utf-8")
        # Not splitlines: it also splits at characters that stand in text.
        for line in filter(None, text.replace("\r\n", "\n").split("\n")):
            try:
                # The video's own name may end in the separator's character.
                number, start, stop, words = line.removeprefix(
                    f"{video}___"
                ).split("___", 3)
                times = max(0.0, float(start)), float(stop)
            except ValueError as error:
                raise ValueError(
                    f"CMU-MOSEI: {folder / path}: {line!r} is not "
                    f"{video}___number___start___end___text ({error})"
                ) from error
            yield Utterance(
                id=f"{video}_{number}",
                wav=f"{root}Audio/Full/WAV_16000/{video}.wav",
                spk=video,
                split=part_of.get(video),
                dialog=video,
                start=times[0],
                stop=times[1],
                text=words,
            )


def _rounded(seconds):
    return round(seconds, _MILLISECONDS)


def _root(data_folder):
    return "Raw/" if (data_folder / "Raw").is_dir() else ""


def _folds(data_folder):
    """Part of every video; the file is read, never executed."""
    path = find_file(data_folder, FOLDS_FILE, "CMU-MultimodalSDK")
    part_of = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id in FOLDS:
            part = FOLDS[node.targets[0].id]
            for video in ast.literal_eval(node.value):
                if part_of.setdefault(video, part) != part:
                    raise ValueError(f"CMU-MOSEI: {path}: {video} is in two")
    if set(part_of.values()) != set(FOLDS.values()):
        raise ValueError(f"CMU-MOSEI: {path} does not define {sorted(FOLDS)}")
    return part_of


# What is not zero, by the label file: they differ in a few segments.
OF_SCORES = {
    "utts": 17858,
    "per_class": {"negative": 6594, "positive": 11264},
    "per_split": {"train": 12786, "valid": 1438, "test": 3634},
}
OF_SIGNS = {
    "utts": 17864,
    "per_class": {"negative": 6595, "positive": 11269},
    "per_split": {"train": 12789, "valid": 1438, "test": 3637},
}
RATED = Corpus(
    name="CMU-MOSEI",
    lang="en",
    classes=(),
    label_map={"in no fold": None},
    expected={
        "utts": 22856,
        "per_split": {"train": 16326, "valid": 1871, "test": 4659},
    },
    parse=parse_rated,
    label_files=(f"**/{FOLDS_FILE}", f"**/{SCORES_FILE}"),
    scales={"sentiment": (-3, 3)},
)
CORPUS = Corpus(
    name="CMU-MOSEI",
    lang="en",
    classes=("negative", "positive"),
    label_map={
        "negative": "negative",
        "positive": "positive",
        "neutral": None,
        "in no fold": None,
    },
    read_expected=lambda folder: OF_SCORES if _has_scores(folder) else OF_SIGNS,
    paper_table1={"utts": 44977, "speakers": 1000, "hours": 91.9},
    parse=parse,
    label_files=(f"**/{FOLDS_FILE}", "**/*[lL]abel*.csv"),
    label_sha256={
        FOLDS_FILE: "4e13a2f538cf02ab56144eb2a91ca48a"
        "4024ce64faaae790ab9ff1c3f399b473",
    },
    rated=RATED,
)
# 44,977 segments are inferred from the paper's total, hence not enforced.
PRETRAINING = replace(
    CORPUS,
    classes=(),
    label_map={},
    expected={},
    read_expected=None,
    rated=None,
    parse=parse_all,
    label_files=(f"**/{FOLDS_FILE}",),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
