#!/usr/bin/env python3
"""MELD, Multimodal EmotionLines Dataset: Friends (Poria et al., 2019).

What: 13,706 labelled clips, 12.1 hours, of 304 characters in seven emotions,
in official parts of 9988, 1108 and 2610; and 141 clips without a label.
Licence: GPL-3.0 for the labels; the clips are from television.
Where: https://github.com/declare-lab/MELD, ``MELD.Raw.tar.gz``.
Layout: ``train_splits``, ``dev_splits_complete`` and
``output_repeated_splits_test`` (or ``train``, ``dev`` and ``test``) with
``dia0_utt0.wav``, at any depth, and ``{train,dev,test}_sent_emo.csv``. The
clips are mp4: README.md says how to extract the wav files.
Traps: ids start again in every part, so the part stands in front here; train
``dia125_utt3`` cannot be decoded and dev ``dia110_utt7`` does not exist; 132
``final_videos_test*`` clips and 9 others have no row in a table (``CORPUS``
leaves them out, ``PRETRAINING`` has them).

> python meld_prepare.py --data_folder DIR --manifest meld.json
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.folders import find_file, match_names
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

NAME = re.compile(r"((?:final_videos_test)?dia\d+_utt\d+)\.wav")
EXTRACT = "extract the wav files first, README.md says how"
FOLDERS = {
    "train_splits": "train",
    "dev_splits_complete": "dev",
    "output_repeated_splits_test": "test",
    "train": "train",
    "dev": "dev",
    "test": "test",
}
PARTS = {"train": "train", "dev": "valid", "test": "test"}
COLUMNS = (
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
)
CLASSES = (
    "anger",
    "disgust",
    "fear",
    "joy",
    "neutral",
    "sadness",
    "surprise",
)


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the clips that have a label.

    Raises ValueError for a missing table, a part without audio, a name of
    another form, a folder that is no part.
    """
    clips = _clips(data_folder)
    for utterance in _labelled(data_folder):
        default = f"{utterance.split}/{utterance.id}.wav"  # reported missing
        yield replace(utterance, wav=clips.get(utterance.id, default))


def parse_all(data_folder: Path) -> Iterator[Utterance]:
    """Yield every clip, those without a label too."""
    labelled = {u.id: u for u in _labelled(data_folder)}
    for name, path in sorted(_clips(data_folder).items()):
        part = PARTS[name.split("_", 1)[0]]
        known = labelled.get(name, Utterance(name, path, split=part))
        yield replace(known, wav=path)


def parse_conversations(data_folder: Path) -> Iterator[Utterance]:
    """Yield the clips that have a label, each with its place in the scene."""
    for utterance in parse(data_folder):
        position = int(utterance.id.rpartition("_utt")[2])
        extra = {**utterance.extra, "position": position}
        yield replace(utterance, extra=extra)


def _clips(data_folder):
    clips = {}
    for path, match in match_names(data_folder, "*.wav", NAME, EXTRACT):
        folder = PurePosixPath(path).parent.name
        if folder not in FOLDERS:
            raise ValueError(
                f"MELD: {path} is in none of the folders {sorted(FOLDERS)}"
            )
        name = f"{FOLDERS[folder]}_{match[1]}"
        if name in clips:
            raise ValueError(
                f"MELD: {clips[name]} and {path} are both {name}; remove one"
            )
        clips[name] = path
    found = {name.split("_", 1)[0] for name in clips}
    if found != set(PARTS):
        raise ValueError(
            f"MELD: {data_folder} has wav files of {sorted(found)} only; "
            "extract them from the mp4 files of train, dev and test"
        )
    return clips


def _labelled(data_folder):
    for part, split in PARTS.items():
        table = find_file(data_folder, f"{part}_sent_emo.csv", "MELD.Raw")
        for _, row in read_table(table, COLUMNS):
            dialog = f"{part}_dia{row['Dialogue_ID']}"
            yield Utterance(
                id=f"{dialog}_utt{row['Utterance_ID']}",
                wav="",
                emo_raw=row["Emotion"],
                spk=row["Speaker"],
                split=split,
                dialog=dialog,
                text=row["Utterance"],
                extra={"sentiment": row["Sentiment"]},
            )


CORPUS = Corpus(
    name="MELD",
    lang="en",
    classes=CLASSES,
    label_map={name: name for name in CLASSES},
    expected={
        "utts": 13706,
        "speakers": 304,
        "hours": 12.14,
        "per_split": {"train": 9988, "valid": 1108, "test": 2610},
    },
    paper_table1={"utts": 13847, "speakers": 407, "hours": 12.2},
    known_bad={
        "train_dia125_utt3": "the clip cannot be decoded",
        "dev_dia110_utt7": "the clip does not exist",
    },
    parse=parse,
    label_files=tuple(f"**/{part}_sent_emo.csv" for part in PARTS),
    label_sha256={
        "train_sent_emo.csv": "d2fa2d6529cf03cac2989efec05c9b27"
        "d8fd2f4c8fc5974c7ae88aa537fa02db",
        "dev_sent_emo.csv": "2e89c6f8aa182d6f62f8c6331aece905"
        "ac7273ca4999660bfb5213e1d0370c1c",
        "test_sent_emo.csv": "8d37103938f7067600839fe29d5a114a"
        "6cd1bcdafb75bec101e06464c5006888",
    },
)
# The four classes of IEMOCAP are predicted, the others are context.
CORPUS = replace(
    CORPUS,
    conversation=replace(
        CORPUS,
        classes=("angry", "happy", "neutral", "sad"),
        label_map={
            **dict.fromkeys(CLASSES),
            "anger": "angry",
            "joy": "happy",
            "neutral": "neutral",
            "sadness": "sad",
        },
        keep_others=True,
        parse=parse_conversations,
    ),
)
PRETRAINING = replace(
    CORPUS,
    expected={
        "utts": 13847,
        "per_split": {"train": 9988, "valid": 1112, "test": 2747},
    },
    parse=parse_all,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
