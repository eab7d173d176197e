#!/usr/bin/env python3
"""RAVDESS, the sung part (Livingstone & Russo, 2018).

What: 1012 utterances, 1.3 hours, of 23 North American actors who sing two
sentences in six emotions; 48 kHz.
Licence: CC BY-NC-SA 4.0.
Where: https://zenodo.org/record/1188976, ``Audio_Song_Actors_01-24.zip``
(md5 ``5411230427d67a21e18aa4d466e6d1b9``).
Layout: ``Actor_NN/03-02-EE-II-SS-RR-AA.wav``, at any depth.
Names: EE emotion, II intensity, SS sentence, RR repetition, AA actor (odd
numbers are men).
Traps: actor 18 does not sing; nobody sings disgust or surprise (Table 1 of
the paper says eight emotions); spoken files (``03-01-...``) in the same
folder belong to RAVDESS-Speech and are left out here, and counted.

> python ravdess_song_prepare.py --data_folder DIR --manifest song.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import drop_nested_copies, match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.download import Download

NAME = re.compile(r"03-0([12])-(0[1-8])-0([12])-0([12])-0([12])-(\d\d)\.wav")
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked RAVDESS; speech has no emotion here.

    Raises ValueError without wav files, with names of another form, or with two
    different files of one name.
    """
    found = match_names(data_folder, "*.wav", NAME)
    for path, match in drop_nested_copies(found, data_folder):
        channel, emotion, intensity, sentence, repetition, actor = (
            match.groups()
        )
        yield Utterance(
            id=match[0].removesuffix(".wav"),
            wav=path,
            emo_raw=emotion if channel == "2" else "speech",
            spk=actor,
            gender="M" if int(actor) % 2 else "F",
            extra={
                "intensity": "strong" if intensity == "2" else "normal",
                "sentence": sentence,
                "repetition": repetition,
            },
        )


CORPUS = Corpus(
    name="RAVDESS-Song",
    lang="en",
    classes=tuple(EMOTIONS.values()),
    label_map={**EMOTIONS, "speech": None},
    expected={
        "utts": 1012,
        "speakers": 23,
        "per_class": {
            name: 92 if name == "neutral" else 184 for name in EMOTIONS.values()
        },
    },
    paper_table1={"utts": 1012, "speakers": 23, "hours": 1.3},
    parse=parse,
    downloads=(
        Download(
            "https://zenodo.org/records/1188976/files/"
            "Audio_Song_Actors_01-24.zip",
            "Audio_Song_Actors_01-24.zip",
            md5="5411230427d67a21e18aa4d466e6d1b9",
        ),
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
