#!/usr/bin/env python3
"""SAVEE, Surrey Audio-Visual Expressed Emotion (Haq & Jackson, 2009).

What: 480 utterances, half an hour, of four British men in seven emotions;
44.1 kHz mono.
Licence: research, after registration with the University of Surrey.
Where: http://kahlan.eps.surrey.ac.uk/savee, ``AudioData.zip``.
Layout: ``AudioData/{DC,JE,JK,KL}/a01.wav``; or, from a mirror,
``ALL/DC_a01.wav``.
Names: ``sa`` is sadness and ``su`` surprise; the other emotions are one
letter.
Traps: there are no women; a speaker has 15 utterances of every emotion and
30 neutral ones.

> python savee_prepare.py --data_folder DIR --manifest savee.json
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|a|d|f|h|n)(\d{2})\.wav")
SPEAKERS = ("DC", "JE", "JK", "KL")
EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked SAVEE.

    Raises ValueError without wav files, with names of another form, or where
    neither the name nor the folder is a speaker.
    """
    for path, match in match_names(data_folder, "*.wav", NAME):
        speaker, letter, number = match.groups()
        folder = PurePosixPath(path).parent.name
        if speaker is None:
            speaker = folder
        if speaker not in SPEAKERS or (
            folder in SPEAKERS and folder != speaker
        ):
            raise ValueError(
                f"SAVEE: {path}: the speaker is none of {SPEAKERS}, or is "
                "not the folder's; restore the folder AudioData"
            )
        yield Utterance(
            id=f"{speaker}_{letter}{number}",
            wav=path,
            emo_raw=letter,
            spk=speaker,
            gender="M",
        )


CORPUS = Corpus(
    name="SAVEE",
    lang="en",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 480,
        "speakers": 4,
        "hours": 0.512,
        "per_class": {
            name: 120 if name == "neutral" else 60 for name in EMOTIONS.values()
        },
    },
    paper_table1={"utts": 480, "speakers": 4, "hours": 0.5},
    parse=parse,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
