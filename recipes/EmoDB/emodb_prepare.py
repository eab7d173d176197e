#!/usr/bin/env python3
"""EmoDB, the Berlin Database of Emotional Speech (Burkhardt et al., 2005).

What: 535 utterances, 25 minutes, of ten German actors who speak ten sentences
in seven emotions; 16 kHz mono.
Where: http://emodb.bilderbar.info, ``download.zip``; free, to be cited.
Layout: ``wav/*.wav``; ``lablaut``, ``labsilb``, ``silb`` and the text files
beside it are not read.
Names: ``03a01Fa`` = speaker 03, sentence a01, emotion F, version a.
Traps: the letters are German. A is Angst (fear), not anger; F is Freude
(happiness), not fear; W is Wut (anger).

> python emodb_prepare.py --data_folder DIR --manifest emodb.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.download import Download

NAME = re.compile(r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-f])\.wav")
WOMEN = {"08", "09", "13", "14", "16"}


def parse_emodb(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked EmoDB.

    Raises ValueError without wav files, or with names of another form.
    """
    for name, match in match_names(data_folder / "wav", "*.wav", NAME):
        speaker, sentence, letter, version = match.groups()
        yield Utterance(
            id=f"{speaker}{sentence}{letter}{version}",
            wav=f"wav/{name}",
            emo_raw=letter,
            spk=speaker,
            gender="F" if speaker in WOMEN else "M",
            lang="de",
            dataset="EmoDB",
            extra={"sentence": sentence},
        )


CORPUS = Corpus(
    name="EmoDB",
    lang="de",
    classes=(
        "anger",
        "boredom",
        "disgust",
        "fear",
        "happiness",
        "neutral",
        "sadness",
    ),
    label_map={
        "W": "anger",
        "L": "boredom",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "N": "neutral",
        "T": "sadness",
    },
    expected={
        "utts": 535,
        "speakers": 10,
        "hours": 0.413,
        "per_class": {
            "anger": 127,
            "boredom": 81,
            "disgust": 46,
            "fear": 69,
            "happiness": 71,
            "neutral": 79,
            "sadness": 62,
        },
    },
    paper_table1={"utts": 535, "speakers": 10, "hours": 0.4},
    parse=parse_emodb,
    downloads=(
        Download(
            "http://emodb.bilderbar.info/download/download.zip", "emodb.zip"
        ),
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
