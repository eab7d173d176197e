#!/usr/bin/env python3
"""AESDD, Acted Emotional Speech Dynamic Database (Vryzas et al., 2018).

What: 604 utterances, 0.7 hours, of Greek actors in five emotions; 44.1 kHz.
Licence: free for research; a mirror says CC BY 4.0.
Where: http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition
Layout: ``Acted Emotional Speech Dynamic Database/anger/a03 (3).wav``.
Names: letter of the emotion, sentence, speaker in brackets (also with a
leading zero), a or b for a repeated take.
Traps: ``s05 (3)`` is corrupt and left out; Table 1 of the paper says five
speakers, the names have six.

> python aesdd_prepare.py --data_folder DIR --manifest aesdd.json
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

NAME = re.compile(r"([adfhs])(\d{2}) \((\d{1,2})\)([ab]?)\.wav")
EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "s": "sadness",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked AESDD.

    Raises ValueError without wav files, with names of another form, or in the
    folder of another emotion.
    """
    for path, match in match_names(data_folder, "*.wav", NAME):
        letter, sentence, speaker, take = match.groups()
        folder = PurePosixPath(path).parent.name
        if folder != EMOTIONS[letter]:
            raise ValueError(
                f"AESDD: {path} is {EMOTIONS[letter]} by its name and "
                f"{folder!r} by its folder; put it back"
            )
        yield Utterance(
            id=f"{letter}{sentence}_({speaker}){take}",
            wav=path,
            emo_raw=letter,
            spk=str(int(speaker)),
            extra={"sentence": sentence},
        )


CORPUS = Corpus(
    name="AESDD",
    lang="el",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 604,
        "speakers": 6,
        "hours": 0.689,
        "per_class": {
            "anger": 121,
            "disgust": 122,
            "fear": 120,
            "happiness": 119,
            "sadness": 122,
        },
    },
    paper_table1={"utts": 604, "speakers": 5, "hours": 0.7},
    known_bad={"s05_(3)": "the file in the archive is corrupt"},
    parse=parse,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
