#!/usr/bin/env python3
"""EMOVO, Italian emotional speech (Costantini et al., 2014).

What: 588 utterances, half an hour, of six actors who speak fourteen sentences
in seven emotions; 48 kHz stereo.
Licence: none stated; to be cited.
Where: ``emovo.zip`` from http://voice.fub.it/activities/corpora/emovo
Layout: ``EMOVO/{f1,f2,f3,m1,m2,m3}/neu-f1-b1.wav``.
Names: emotion, speaker, sentence: b short, l long, n nonsense, d question.
Traps: Table 1 of the paper says ten speakers; there are six.

> python emovo_prepare.py --data_folder DIR --manifest emovo.json
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

NAME = re.compile(r"(neu|dis|gio|pau|rab|sor|tri)-([fm][1-3])-([bldn]\d)\.wav")
SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
EMOTIONS = {
    "neu": "neutral",
    "dis": "disgust",
    "gio": "joy",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked EMOVO.

    Raises ValueError without wav files, with names of another form, or in the
    folder of another speaker.
    """
    for path, match in match_names(data_folder, "*.wav", NAME):
        emotion, speaker, sentence = match.groups()
        folder = PurePosixPath(path).parent.name
        if folder in SPEAKERS and folder != speaker:
            raise ValueError(
                f"EMOVO: {path} is of {speaker} by its name and of {folder} "
                "by its folder; put it back"
            )
        yield Utterance(
            id=match[0].removesuffix(".wav"),
            wav=path,
            emo_raw=emotion,
            spk=speaker,
            gender=speaker[0].upper(),
            extra={"sentence": sentence},
        )


CORPUS = Corpus(
    name="EMOVO",
    lang="it",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 588,
        "speakers": 6,
        "hours": 0.510,
        "per_class": dict.fromkeys(EMOTIONS.values(), 84),
    },
    paper_table1={"utts": 588, "speakers": 10, "hours": 0.5},
    parse=parse,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
