#!/usr/bin/env python3
"""CaFE, Canadian French emotional speech (Gournay et al., 2018).

What: 936 utterances, 1.2 hours, of twelve actors who speak six sentences in
seven emotions, weakly and strongly; 48 kHz.
Licence: CC BY-NC-SA 4.0.
Where: https://zenodo.org/record/1478765, ``CaFE_48k.zip``. The 192 kHz
archives hold the same recordings as aiff; they are not read.
Layout: ``CaFE_48k/<emotion>/<Faible|Fort>/01-C-1-1.wav``; ``Neutre`` has no
folder of intensities.
Names: actor (odd numbers are men), emotion, intensity, sentence.
Traps: the accents of the folders' names come out of the archive broken, so
only file names are read. The letters are French: C is colere (anger), P is
peur (fear), T is tristesse (sadness).

> python cafe_prepare.py --data_folder DIR --manifest cafe.json
"""

import re
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.download import Download

NAME = re.compile(r"(\d\d)-([CDJNPST])-([12])-([1-6])\.wav")
EMOTIONS = {
    "C": "anger",
    "D": "disgust",
    "J": "happiness",
    "N": "neutral",
    "P": "fear",
    "S": "surprise",
    "T": "sadness",
}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked CaFE.

    Raises ValueError without wav files, or with names of another form.
    """
    for path, match in match_names(data_folder, "*.wav", NAME):
        actor, letter, intensity, sentence = match.groups()
        yield Utterance(
            id=match[0].removesuffix(".wav"),
            wav=path,
            emo_raw=letter,
            spk=actor,
            gender="M" if int(actor) % 2 else "F",
            extra={
                "intensity": "strong" if intensity == "2" else "weak",
                "sentence": sentence,
            },
        )


CORPUS = Corpus(
    name="CaFE",
    lang="fr",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 936,
        "speakers": 12,
        "hours": 1.155,
        "per_class": {
            name: 72 if name == "neutral" else 144 for name in EMOTIONS.values()
        },
    },
    paper_table1={"utts": 936, "speakers": 12, "hours": 1.2},
    parse=parse,
    downloads=(
        Download(
            "https://zenodo.org/records/1478765/files/CaFE_48k.zip",
            "CaFE_48k.zip",
        ),
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
