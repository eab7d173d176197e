#!/usr/bin/env python3
"""ShEMO, Sharif emotional speech (Mohamad Nezami et al., 2019).

What: 3000 utterances, 3.4 hours, of 31 women and 56 men from Persian radio
plays in six emotions; mostly 44.1 kHz.
Licence: free for academic use.
Where: https://github.com/mansourehk/ShEMO, ``female.zip`` and ``male.zip``;
transcripts: ``shemo.json`` of
https://github.com/pariajm/sharif-emotional-speech-dataset, optional.
Layout: ``female/F21N37.wav``, ``male/M28A43.wav``, ``shemo.json`` beside.
Names: gender, speaker, emotion, number. W is surprise.
Traps: ``shemo.json`` lists 3000 names, of which 2838 are names of wav files:
joining on it loses 162, so it only gives text. Speakers are numbered per
gender. Fear has few utterances (38, as recalled from the corpus paper; class
counts are therefore not checked).

> python shemo_prepare.py --data_folder DIR --manifest shemo.json
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.documents import read_json

NAME = re.compile(r"([FM])(\d{2})([AFHNSW])(\d{2,3})\.wav")
FOLDERS = {"female": "F", "male": "M"}
EMOTIONS = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}


class _Entry(msgspec.Struct):
    id: str
    transcript: str | None = None


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of an unpacked ShEMO.

    Raises ValueError without wav files, with names of another form, or in the
    folder of the other gender.
    """
    transcripts = {}
    if (data_folder / "shemo.json").is_file():
        entries = read_json(data_folder / "shemo.json", list[_Entry])
        transcripts = {entry.id: entry.transcript for entry in entries}
    for path, match in match_names(data_folder, "*.wav", NAME):
        gender, number, letter, _ = match.groups()
        folder = PurePosixPath(path).parent.name
        if FOLDERS.get(folder, gender) != gender:
            raise ValueError(
                f"ShEMO: {path} is {gender} by its name and {folder} by its "
                "folder; put it back"
            )
        name = match[0].removesuffix(".wav")
        yield Utterance(
            id=name,
            wav=path,
            emo_raw=letter,
            spk=gender + number,
            gender=gender,
            text=transcripts.get(name),
        )


CORPUS = Corpus(
    name="ShEMO",
    lang="fa",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={"utts": 3000, "speakers": 87},
    paper_table1={"utts": 3000, "speakers": 87, "hours": 3.4},
    parse=parse,
)

if __name__ == "__main__":
    prepare_main(CORPUS)
