#!/usr/bin/env python3
"""CREMA-D, Crowd-sourced Emotional Multimodal Actors (Cao et al., 2014).

What: 7442 utterances, 5.3 hours, of 91 actors who speak twelve sentences in
six emotions; 16 kHz. Not in the paper's tables; Vesper was tested on it.
Licence: ODbL.
Where: https://github.com/CheyneyComputerScience/CREMA-D (git LFS).
Layout: ``AudioWAV/1001_DFA_ANG_XX.wav``; ``VideoDemographics.csv`` beside it
gives the gender, optional. So are the votes of those who heard the voice alone:
``finishedResponses.csv`` (a row a rater and clip) or, where that is absent,
``processedResults/tabulatedVotes.csv``. ``processedResults/summaryTable.csv``
has only the winners (``A:D``: as many for either).
Names: actor, sentence, emotion, level (LO, MD, HI, or XX and X for none).
Traps: ``1076_MTI_SAD_XX`` has no signal and is left out; a checkout without
git LFS holds text files of 130 bytes instead of audio, which are counted as
unreadable. The label is what was acted; listeners often heard something else.

> python crema_d_prepare.py --data_folder DIR --manifest crema_d.json
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import tally

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
RESPONSES = "finishedResponses.csv"
TABULATED = "processedResults/tabulatedVotes.csv"
SUMMARY = "processedResults/summaryTable.csv"
VOICE = "1"  # of what was rated: the voice, the face, both
HEARD = {code[0]: name for code, name in EMOTIONS.items()}


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield the utterances of a checkout of CREMA-D.

    Raises ValueError without wav files, with names of another form, or with
    votes for another emotion.
    """
    votes, winners = _votes(data_folder), _winners(data_folder)
    genders, table = {}, data_folder / "VideoDemographics.csv"
    if table.is_file():
        for _, row in read_table(table, ("ActorID", "Sex")):
            genders[row["ActorID"]] = GENDERS.get(row["Sex"], "unknown")
    for path, match in match_names(data_folder, "*.wav", NAME):
        actor, sentence, emotion, level = match.groups()
        name = match[0].removesuffix(".wav")
        extra = {"sentence": sentence, "level": level}
        if name in winners:
            extra["voice_vote"] = winners[name]
        yield Utterance(
            id=name,
            wav=path,
            emo_raw=emotion,
            spk=actor,
            gender=genders.get(actor, "unknown"),
            votes=votes.get(name, {}),
            extra=extra,
        )


def _votes(data_folder):
    """Of each clip, by class; of the raters' file where it is there."""
    responses, tabulated = data_folder / RESPONSES, data_folder / TABULATED
    if responses.is_file():
        rows = defaultdict(list)
        columns = ("localid", "queryType", "clipName", "respEmo")
        for line, row in read_table(responses, columns):
            if row["queryType"] == VOICE:
                label = _heard(responses, line, row["respEmo"])
                rows[row["clipName"]].append((row["localid"], label))
        return {name: tally(votes) for name, votes in rows.items()}
    found = {}
    if tabulated.is_file():
        for line, row in read_table(tabulated, ("", "fileName", *HEARD)):
            if row[""].startswith(VOICE):  # 100001, 200001, 300001
                counts = _counts(tabulated, line, row)
                found[row["fileName"]] = counts
    return found


def _heard(table, line, code):
    if code not in HEARD:
        raise ValueError(
            f"CREMA-D: {table}, line {line}: the emotion is {code!r}; known "
            f"are {sorted(HEARD)}"
        )
    return HEARD[code]


def _counts(table, line, row):
    try:
        counts = {name: int(row[code]) for code, name in HEARD.items()}
    except ValueError as error:
        raise ValueError(f"CREMA-D: {table}, line {line}: {error}") from error
    return {name: count for name, count in counts.items() if count}


def _winners(data_folder):
    table = data_folder / SUMMARY
    if not table.is_file():
        return {}
    rows = read_table(table, ("FileName", "VoiceVote"))
    return {row["FileName"]: row["VoiceVote"] for _, row in rows}


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
