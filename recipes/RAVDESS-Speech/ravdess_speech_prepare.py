#!/usr/bin/env python3
"""RAVDESS, the spoken part (Livingstone & Russo, 2018).

What: 1440 utterances, 1.5 hours, of 24 North American actors who speak two
sentences in eight emotions; 48 kHz, a few files in stereo.
Licence: CC BY-NC-SA 4.0.
Where: https://zenodo.org/record/1188976, ``Audio_Speech_Actors_01-24.zip``
(md5 ``bc696df654c87fed845eb13823edef8a``).
Layout: ``Actor_NN/03-01-EE-II-SS-RR-AA.wav``, at any depth.
Names: EE emotion, II intensity, SS sentence, RR repetition, AA actor (odd
numbers are men).
Traps: a mirror nests a second copy of every file in
``audio_speech_actors_01-24``; sung files (``03-02-...``) in the same folder
belong to RAVDESS-Song and are left out here, and counted.

> python ravdess_speech_prepare.py --data_folder DIR --manifest speech.json
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
    "07": "disgust",
    "08": "surprised",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked RAVDESS; songs have no emotion here.

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
            emo_raw=emotion if channel == "1" else "song",
            spk=actor,
            gender="M" if int(actor) % 2 else "F",
            extra={
                "intensity": "strong" if intensity == "2" else "normal",
                "sentence": sentence,
                "repetition": repetition,
            },
        )


CORPUS = Corpus(
    name="RAVDESS-Speech",
    lang="en",
    classes=tuple(EMOTIONS.values()),
    label_map={**EMOTIONS, "song": None},
    expected={
        "utts": 1440,
        "speakers": 24,
        "hours": 1.480,
        "per_class": {
            name: 96 if name == "neutral" else 192 for name in EMOTIONS.values()
        },
    },
    paper_table1={"utts": 1440, "speakers": 24, "hours": 1.5},
    parse=parse,
    downloads=(
        Download(
            "https://zenodo.org/records/1188976/files/"
            "Audio_Speech_Actors_01-24.zip",
            "Audio_Speech_Actors_01-24.zip",
            md5="bc696df654c87fed845eb13823edef8a",
        ),
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
