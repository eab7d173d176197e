#!/usr/bin/env python3
"""URDU, emotional speech from Urdu talk shows (Latif et al., 2018).

What: 400 utterances, 0.3 hours, 100 of each of four emotions; 44.1 kHz.
Licence: research only.
Where: https://github.com/siddiquelatif/URDU-Dataset
Layout: ``{Angry,Happy,Neutral,Sad}/SM1_F10_A010.wav``.
Names: ``S``, gender and number of the speaker, file, letter of the emotion.
Traps: the README of the corpus (and Table 1 of the paper) says 38 speakers;
the names have 29.

> python urdu_prepare.py --data_folder DIR --manifest urdu.json
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.download import Download

NAME = re.compile(r"(S([MF])\d+)_F(\d+)_([AHNS])(\d+)\.wav")
FOLDERS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}
EMOTIONS = {letter: folder.lower() for letter, folder in FOLDERS.items()}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of a checkout of URDU.

    Raises ValueError without wav files, with names of another form, or in the
    folder of another emotion.
    """
    for path, match in match_names(data_folder, "*.wav", NAME):
        speaker, gender, _, letter, _ = match.groups()
        folder = PurePosixPath(path).parent.name
        if folder != FOLDERS[letter]:
            raise ValueError(
                f"URDU: {path} is {FOLDERS[letter]} by its name and "
                f"{folder!r} by its folder; put it back"
            )
        yield Utterance(
            id=match[0].removesuffix(".wav"),
            wav=path,
            emo_raw=letter,
            spk=speaker,
            gender=gender,
        )


CORPUS = Corpus(
    name="URDU",
    lang="ur",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 400,
        "speakers": 29,
        "hours": 0.277,
        "per_class": dict.fromkeys(EMOTIONS.values(), 100),
    },
    paper_table1={"utts": 400, "speakers": 38, "hours": 0.3},
    parse=parse,
    downloads=(
        Download(
            "https://github.com/siddiquelatif/URDU-Dataset/archive/"
            "refs/heads/master.zip",
            "URDU-Dataset.zip",
        ),
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
