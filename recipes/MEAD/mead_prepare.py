#!/usr/bin/env python3
"""MEAD, Multi-view Emotional Audio-visual Dataset (Wang et al., 2020).

What: 31,729 utterances, 37.3 hours, of 27 men and 21 women who speak English
in eight emotions at up to three intensities. Here for pre-training only.
Licence: non-commercial terms of use.
Where: https://wywu.github.io/projects/MEAD/MEAD.html, one archive an actor.
Layout: ``M003/audio/angry/level_1/001.wav``, at any depth. The files are m4a:
README.md says how to extract the wav files.
Names: folders are speaker (M or W), emotion and intensity; files are
numbered anew in each of them, so an id is made of all four.
Traps: ``neutral`` has only ``level_1``; archives from a Mac hold ``__MACOSX``
and ``._*``, which are not read; Table 1 of the paper says 31,792 (two digits
swapped) and 60 speakers (those of the MEAD paper).

> python mead_prepare.py --data_folder DIR --manifest mead.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import list_files
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance

EXTRACT = "extract the wav files first, README.md says how"
COUNTS = {
    "angry": 4193,
    "contempt": 4215,
    "disgusted": 4284,
    "fear": 4251,
    "happy": 4294,
    "neutral": 1916,
    "sad": 4306,
    "surprised": 4270,
}
PATH = re.compile(
    rf"(?:.*/)?([MW])(\d{{3}})/audio/({'|'.join(COUNTS)})/"
    r"level_([123])/(\d{3})\.wav"
)


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked and extracted MEAD.

    Raises ValueError without wav files, or with a path of another form.
    """
    for path in list_files(data_folder, "*.wav", EXTRACT):
        match = PATH.fullmatch(path)
        if match is None:
            raise ValueError(
                f"MEAD: {data_folder}/{path} is not of the form "
                "M003/audio/angry/level_1/001.wav; move it away"
            )
        letter, number, emotion, level, take = match.groups()
        yield Utterance(
            id=f"{letter}{number}_{emotion}_{level}_{take}",
            wav=path,
            emo_raw=emotion,
            spk=letter + number,
            gender="F" if letter == "W" else "M",
            extra={"level": int(level)},
        )


CORPUS = Corpus(
    name="MEAD",
    lang="en",
    classes=tuple(COUNTS),
    label_map={name: name for name in COUNTS},
    expected={
        "utts": 31729,
        "speakers": 48,
        "hours": 37.34,
        "per_class": COUNTS,
    },
    paper_table1={"utts": 31792, "speakers": 60, "hours": 37.3},
    parse=parse,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
