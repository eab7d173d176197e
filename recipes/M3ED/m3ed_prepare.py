#!/usr/bin/env python3
"""M3ED, Mandarin emotional dialogues from television (Zhao et al., 2022).

What: 24,449 annotated utterances of 56 series, 990 dialogues, in seven
emotions, 16 kHz mono; 24,437 have audio, 9.8 hours. Official parts by series:
17,420, 2,819 and 4,198, so that no speaker is in two parts.
Licence: none stated; on request from the authors.
Where: https://github.com/AIM3-RUC/RUCM3ED (form in its README).
Layout: ``annotation.json``, ``splitInfo/movie_list_{train,val,test}.txt`` and
``modality_speech/A_shaonianpai_1_1.wav`` (speaker's letter, utterance).
Traps: 12 files hold no sample and are left out, and counted; 28 last less
than 0.1 s, 104 less than 0.3 s, and are kept. The paper counts 24,449
utterances and 626 speakers; by series and name there are about 635.

> python m3ed_prepare.py --data_folder DIR --manifest m3ed.json
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from speechbrain_e2v.corpora.folders import find_file, list_files
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.documents import read_json

AUDIO = "modality_speech"
PARTS = {"train": "train", "val": "valid", "test": "test"}
EMOTIONS = {
    "Happy": "happy",
    "Neutral": "neutral",
    "Sad": "sad",
    "Disgust": "disgust",
    "Anger": "anger",
    "Fear": "fear",
    "Surprise": "surprise",
}


class _Emotion(msgspec.Struct):
    final: str = msgspec.field(name="final_main_emo")


class _Turn(msgspec.Struct):
    speaker: str = msgspec.field(name="Speaker")
    text: str = msgspec.field(name="Text")
    emotion: _Emotion = msgspec.field(name="EmoAnnotation")


class _Speaker(msgspec.Struct):
    name: str = msgspec.field(name="Name")


class _Dialogue(msgspec.Struct):
    speakers: dict[str, _Speaker] = msgspec.field(name="SpeakerInfo")
    turns: dict[str, _Turn] = msgspec.field(name="Dialog")


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the annotated utterances.

    Raises ValueError for a missing annotation or list, a series in no list, an
    entry of another form, or audio that nobody annotated.
    """
    part_of = _parts(data_folder)
    path = find_file(data_folder, "annotation.json", "the M3ED release")
    series = read_json(path, dict[str, dict[str, Any]])
    unannotated = {
        f"{AUDIO}/{name}" for name in list_files(data_folder / AUDIO, "*.wav")
    }
    for show, dialogs in sorted(series.items()):
        if show not in part_of:
            raise ValueError(
                f"M3ED: {show!r} of {path} is in no movie_list; take the "
                "lists of the same release"
            )
        for dialog, content in sorted(dialogs.items()):
            try:
                utterances = list(_dialog(show, dialog, content))
            except ValueError as error:  # also msgspec's
                raise ValueError(
                    f"M3ED: {path}: {dialog} of {show}: {error}"
                ) from error
            for fields in utterances:
                unannotated.discard(fields["wav"])
                yield Utterance(split=part_of[show], **fields)
    if unannotated:
        raise ValueError(
            f"M3ED: {len(unannotated)} files are not in {path}, such as "
            f"{sorted(unannotated)[:5]}; move them away or correct the names"
        )


def _dialog(show, dialog, content):
    content = msgspec.convert(content, _Dialogue)
    for name, entry in content.turns.items():
        if entry.speaker not in content.speakers:
            raise ValueError(f"SpeakerInfo has no {entry.speaker!r}")
        yield {
            "id": name,
            "wav": f"{AUDIO}/{entry.speaker}_{name}.wav",
            "emo_raw": entry.emotion.final,
            "spk": f"{show}/{content.speakers[entry.speaker].name}",
            "dialog": f"{show}/{dialog}",
            "session": show,
            "text": entry.text,
        }


def _parts(data_folder):
    part_of = {}
    for name, part in PARTS.items():
        path = find_file(
            data_folder, f"movie_list_{name}.txt", "splitInfo of RUCM3ED"
        )
        for show in path.read_text(encoding="utf-8").split():
            if part_of.setdefault(show, part) != part:
                raise ValueError(f"M3ED: {path}: {show} is in another list")
    return part_of


CORPUS = Corpus(
    name="M3ED",
    lang="zh",
    classes=tuple(EMOTIONS.values()),
    label_map=EMOTIONS,
    expected={
        "utts": 24437,
        "hours": 9.83,
        "per_class": {
            "happy": 2286,
            "neutral": 10021,
            "sad": 3957,
            "disgust": 1497,
            "anger": 5231,
            "fear": 395,
            "surprise": 1050,
        },
        "per_split": {"train": 17420, "valid": 2819, "test": 4198},
    },
    paper_table1={"utts": 24449, "speakers": 626, "hours": 9.8},
    parse=parse,
    label_files=(
        "**/annotation.json",
        *(f"**/movie_list_{name}.txt" for name in PARTS),
    ),
    label_sha256={
        "movie_list_train.txt": "a96af33ee87deb1a7df6a61bf5c11924"
        "f687ef69cf5120c2955851c56e46354b",
        "movie_list_val.txt": "23c3b2946e4046e9ba72c88cae5e6733"
        "2b2fa26244a221eccff69b07523da72c",
        "movie_list_test.txt": "51b09d2541db314753cd89b3178d37ad"
        "ac061a463c3683071d040c3514dee65f",
    },
)

if __name__ == "__main__":
    prepare_main(CORPUS)
