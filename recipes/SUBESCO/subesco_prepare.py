#!/usr/bin/env python3
"""SUBESCO, Bangla emotional speech (Sultana et al., 2021).

What: 7000 utterances, 7.8 hours, of ten women and ten men who speak ten
sentences in seven emotions, five times each; 44.1 and 48 kHz.
Licence: CC BY 4.0.
Where: https://zenodo.org/record/4526477, ``SUBESCO.zip`` (1.7 GB, md5
``13d702cf944bf54d70d66bffc036ed7a``).
Layout: one folder of ``F_02_MONIKA_S_1_NEUTRAL_5.wav``.
Names: gender, number, name, ``S``, sentence, emotion, take.
Traps: women and men are numbered separately, so a speaker is a gender and a
number; one file has a stray bracket, ``F_02_MONIKA_S_2_SURPRISE_3].wav``,
which its id has not.

> python subesco_prepare.py --data_folder DIR --manifest subesco.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.download import Download

NAME = re.compile(
    r"([FM])_(\d\d)_([A-Z]+)_S_(\d+)_"
    r"(ANGRY|DISGUST|FEAR|HAPPY|NEUTRAL|SAD|SURPRISE)_(\d)\]?\.wav"
)
EMOTIONS = {
    "ANGRY": "anger",
    "DISGUST": "disgust",
    "FEAR": "fear",
    "HAPPY": "happiness",
    "NEUTRAL": "neutral",
    "SAD": "sadness",
    "SURPRISE": "surprise",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked SUBESCO.

    Raises ValueError without wav files, or with names of another form.
    """
    for path, match in match_names(data_folder, "*.wav", NAME):
        gender, number, _, sentence, emotion, take = match.groups()
        yield Utterance(
            id=match[0].removesuffix(".wav").removesuffix("]"),
            wav=path,
            emo_raw=emotion,
            spk=f"{gender}_{number}",
            gender=gender,
            extra={"sentence": sentence, "take": take},
        )


CORPUS = Corpus(
    name="SUBESCO",
    lang="bn",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 7000,
        "speakers": 20,
        "hours": 7.832,
        "per_class": dict.fromkeys(EMOTIONS.values(), 1000),
    },
    paper_table1={"utts": 7000, "speakers": 20, "hours": 7.8},
    parse=parse,
    downloads=(
        Download(
            "https://zenodo.org/records/4526477/files/SUBESCO.zip",
            "SUBESCO.zip",
            md5="13d702cf944bf54d70d66bffc036ed7a",
            size=1_664_512_929,
        ),
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
