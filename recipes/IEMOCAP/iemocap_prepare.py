#!/usr/bin/env python3
"""IEMOCAP, Interactive Emotional Dyadic Motion Capture (Busso et al., 2008).

What: 10,039 turns of five sessions with a woman and a man each, 151
dialogues, improvised or scripted; 16 kHz mono. Four classes remain: anger,
happiness (with excitement), neutral, sadness: 5531 turns, 7 hours.
Licence: USC's agreement; research, no redistribution.
Where: https://sail.usc.edu/iemocap, ``IEMOCAP_full_release.tar.gz``.
Layout: ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt``,
``Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`` and, for
text, ``Session1/dialog/transcriptions/Ses01F_impro01.txt``.
Traps: the first F or M of an id is the actor who wears the markers, the last
one is who speaks; ten speakers are only found by the last. Votes are those of
the evaluators (``C-E1``), not of the actors themselves (``C-F1``, ``C-M1``);
somebody who named several labels has a vote for each. Raters' own files in
``EmoEvaluation/Categorical`` and the like are not read. A few mean ratings are
0.5 or 5.5, although the scale is 1 to 5.

> python iemocap_prepare.py --data_folder DIR --manifest iemocap.json
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import tally

NAME = re.compile(
    r"Ses(0[1-5])([FM])_((?:impro|script)\d{2}(?:[ab]|_\d[ab]?)?)_"
    r"([FM])(\d{3})"
)
TURN = re.compile(
    r"\[(\d+\.\d+) - (\d+\.\d+)\]\t(\S+)\t(\w+)\t"
    r"\[([\d.]+), ([\d.]+), ([\d.]+)\]\s*"
)
VOTE = re.compile(r"C-(E\d+):\t([^\t(]*)")
TRANSCRIPT = re.compile(r"(Ses\w+) \[[\d.]+-[\d.]+\]: ?(.*)")
LABELS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "happy",
    "neu": "neutral",
    "sad": "sad",
}
VOTED = {
    "Anger": "angry",
    "Happiness": "happy",
    "Excited": "happy",
    "Neutral": "neutral",
    "Neutral state": "neutral",
    "Sadness": "sad",
}
OTHERS = ("dis", "fea", "fru", "oth", "sur", "xxx")


def parse(data_folder: Path) -> Iterator[Utterance]:
    """Yield every labelled turn of an unpacked IEMOCAP_full_release.

    Raises ValueError without sessions, for a dialogue without its label file,
    and for a label line or an id of another form.
    """
    sessions = sorted(data_folder.glob("Session[1-5]"))
    if not sessions:
        raise ValueError(
            f"IEMOCAP: no Session1 to Session5 in {data_folder}; give the "
            "unpacked IEMOCAP_full_release"
        )
    for session in sessions:
        labels = {p.stem: p for p in _texts(session / "dialog/EmoEvaluation")}
        dialogs = {
            path.name
            for path in (session / "sentences" / "wav").glob("Ses*")
            if path.is_dir()
        }
        missing = sorted(dialogs - set(labels)) or not labels
        if missing:
            raise ValueError(
                f"IEMOCAP: no label files in {session}/dialog/EmoEvaluation "
                f"for {missing if labels else 'any dialogue'}; unpack the "
                "archive again"
            )
        for dialog, path in sorted(labels.items()):
            yield from _turns(session, dialog, path)


def parse_rated(data_folder: Path) -> Iterator[Utterance]:
    """Yield every turn, whatever its label; that is ``extra["label"]``."""
    for turn in parse(data_folder):
        extra = {**turn.extra, "label": turn.emo_raw}
        yield replace(turn, emo_raw="", extra=extra)


def _texts(folder):
    return [p for p in folder.glob("*.txt") if not p.name.startswith(".")]


def _turns(session, dialog, path):
    transcripts = _transcripts(session / "dialog/transcriptions" / path.name)
    lines = path.read_text(encoding="utf-8").splitlines()
    votes = _votes(lines)
    for number, line in enumerate(lines, start=1):
        if not line.startswith("[") or line.count("\t") != 3:
            continue  # headings, and what single raters said
        turn = TURN.fullmatch(line)
        name = turn and NAME.fullmatch(turn[3])
        if not name or not turn[3].startswith(f"{dialog}_"):
            raise ValueError(
                f"IEMOCAP: {path}, line {number}: not the label of a turn of "
                f"{dialog}: {line!r}"
            )
        yield Utterance(
            id=turn[3],
            wav=f"{session.name}/sentences/wav/{dialog}/{turn[3]}.wav",
            emo_raw=turn[4],
            spk=f"Ses{name[1]}_{name[4]}",
            gender=name[4],
            session=f"Ses{name[1]}",
            dialog=dialog,
            text=transcripts.get(turn[3]),
            votes=votes.get(turn[3], {}),
            extra={
                "turn_start": float(turn[1]),
                "turn_end": float(turn[2]),
                "valence": float(turn[5]),
                "arousal": float(turn[6]),
                "dominance": float(turn[7]),
            },
        )


def _votes(lines):
    """Of the evaluators, by turn: below its line, up to the next one."""
    rows, turn = {}, None
    for line in lines:
        if line.startswith("["):
            turn = line.split("\t")[1:2]
        elif turn and (vote := VOTE.match(line)):
            names = filter(None, map(str.strip, vote[2].split(";")))
            labels = [VOTED.get(name, name.lower()) for name in names]
            found = rows.setdefault(turn[0], [])
            found += [(vote[1], label) for label in labels]
    return {name: tally(found) for name, found in rows.items()}


def _transcripts(path):
    if not path.is_file():
        return {}
    # Only text hangs on these bytes, so odd ones are shown, not refused.
    lines = path.read_text("utf-8", errors="backslashreplace").splitlines()
    found = [TRANSCRIPT.fullmatch(line.strip()) for line in lines]
    return {match[1]: match[2] for match in found if match}


RATED = Corpus(
    name="IEMOCAP",
    lang="en",
    classes=(),
    label_map={},
    expected={"utts": 10039, "speakers": 10},
    parse=parse_rated,
    label_files=("Session*/dialog/EmoEvaluation/*.txt",),
    scales=dict.fromkeys(("arousal", "valence", "dominance"), (1, 5)),
)
CORPUS = Corpus(
    name="IEMOCAP",
    lang="en",
    classes=("angry", "happy", "neutral", "sad"),
    label_map={**LABELS, **dict.fromkeys(OTHERS)},
    expected={
        "utts": 5531,
        "speakers": 10,
        "hours": 6.989,
        "per_class": {
            "angry": 1103,
            "happy": 1636,
            "neutral": 1708,
            "sad": 1084,
        },
    },
    paper_table1={"utts": 5531, "speakers": 10, "hours": 7.0},
    parse=parse,
    label_files=("Session*/dialog/EmoEvaluation/*.txt",),
    rated=RATED,
)
# In a conversation the other labels are context; published: Shi, Li and Toda
# (2023), section 3.1.
CORPUS = replace(
    CORPUS,
    conversation=replace(
        CORPUS,
        keep_others=True,
        expected={
            "utts": 10039,
            "speakers": 10,
            "per_class": CORPUS.expected["per_class"],
        },
        published_samples={
            "angry": 929,
            "happy": 1166,
            "neutral": 1254,
            "sad": 694,
        },
    ),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
