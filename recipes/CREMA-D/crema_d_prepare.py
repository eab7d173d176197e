#!/usr/bin/env python3
"""CREMA-D, Crowd-sourced Emotional Multimodal Actors (Cao et al., 2014).

What: 7442 utterances, 5.3 hours, of 91 actors who speak twelve sentences in
six emotions; 16 kHz. Not in the paper's tables; Vesper was tested on it.
Licence: ODbL.
Where: https://github.com/CheyneyComputerScience/CREMA-D (git LFS).
Layout: ``AudioWAV/1001_DFA_ANG_XX.wav``; ``VideoDemographics.csv`` beside it
gives the gender, optional.
Names: actor, sentence, emotion, level (LO, MD, HI, or XX and X for none).
Traps: ``1076_MTI_SAD_XX`` has no signal and is left out; a checkout without
git LFS holds text files of 130 bytes instead of audio, which are counted as
unreadable.

> python crema_d_prepare.py --data_folder DIR --manifest crema_d.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

NAME = re.compile(
    r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(XX?|LO|MD|HI)\.wav"
)
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
GENDERS = {"Male": "M", "Female": "F"}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of a checkout of CREMA-D.

    Raises ValueError without wav files, or with names of another form.
    """
    genders, table = {}, data_folder / "VideoDemographics.csv"
    if table.is_file():
        for _, row in read_table(table, ("ActorID", "Sex")):
            genders[row["ActorID"]] = GENDERS.get(row["Sex"], "unknown")
    for path, match in match_names(data_folder, "*.wav", NAME):
        actor, sentence, emotion, level = match.groups()
        yield Utterance(
            id=match[0].removesuffix(".wav"),
            wav=path,
            emo_raw=emotion,
            spk=actor,
            gender=genders.get(actor, "unknown"),
            extra={"sentence": sentence, "level": level},
        )


CORPUS = Corpus(
    name="CREMA-D",
    lang="en",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 7441,
        "speakers": 91,
        "hours": 5.26,
        "per_class": {
            "anger": 1271,
            "disgust": 1271,
            "fear": 1271,
            "happiness": 1271,
            "neutral": 1087,
            "sadness": 1270,
        },
    },
    known_bad={"1076_MTI_SAD_XX": "there is no signal in it"},
    parse=parse,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
