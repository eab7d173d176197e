"""IEMOCAP's folds, official parts, speaker-disjoint folds."""

import pytest

from speechbrain_e2v.corpora.group_splits import (
    groups_of,
    leave_one_group_out,
    leave_one_speaker_out,
    official,
    official_plus_valid,
)
from speechbrain_e2v.corpora.manifest import Utterance

SPEAKERS = {
    "1F": 528,
    "1M": 557,
    "2F": 481,
    "2M": 542,
    "3F": 522,
    "3M": 629,
    "4F": 528,
    "4M": 503,
    "5F": 590,
    "5M": 651,
}
LOSPO = {
    "1F": (4446, 557, 528),
    "1M": (4446, 528, 557),
    "2F": (4508, 542, 481),
    "2M": (4508, 481, 542),
    "3F": (4380, 629, 522),
    "3M": (4380, 522, 629),
    "4F": (4500, 503, 528),
    "4M": (4500, 528, 503),
    "5F": (4290, 651, 590),
    "5M": (4290, 590, 651),
}
LOSO = {
    "1": (3556, 890, 1085),
    "2": (3606, 902, 1023),
    "3": (3504, 876, 1151),
    "4": (3600, 900, 1031),
    "5": (3432, 858, 1241),
}


@pytest.fixture(scope="module")
def iemocap():
    return [
        Utterance(f"{spk}_{i}", "x.wav", spk=spk, session=spk[0])
        for spk, count in SPEAKERS.items()
        for i in range(count)
    ]


def sizes(parts):
    return tuple(len(part) for part in parts)


@pytest.mark.parametrize("session", LOSO)
def test_leave_one_session_out(iemocap, session):
    parts = leave_one_group_out(iemocap, "session", session, seed=42)
    assert sizes(parts) == LOSO[session]
    assert {name[0] for name in parts[2]} == {session}
    assert len(set().union(*parts)) == 5531
    backwards = leave_one_group_out(iemocap[::-1], "session", session, seed=42)
    assert parts == backwards


@pytest.mark.parametrize("speaker", LOSPO)
def test_leave_one_speaker_out(iemocap, speaker):
    parts = leave_one_speaker_out(iemocap, speaker)
    assert sizes(parts) == LOSPO[speaker]
    partner = speaker[0] + {"F": "M", "M": "F"}[speaker[1]]
    assert {name[:2] for name in parts[1]} == {partner}
    assert {name[:2] for name in parts[2]} == {speaker}
    assert len(set().union(*parts)) == 5531


def test_next_group_keeps_the_groups_apart(iemocap):
    validated = []
    for speaker in groups_of(iemocap, "spk"):
        parts = leave_one_group_out(iemocap, "spk", speaker, 42, "next_group")
        groups = [{name[:2] for name in part} for part in parts]
        assert groups[2] == {speaker}
        assert len(groups[1]) == 1
        assert len(set().union(*groups)) == sum(map(len, groups)) == 10
        validated += groups[1]
    assert sorted(validated) == sorted(SPEAKERS)


def test_official_parts():
    counts = {"train": 9988, "valid": 1108, "test": 2610}
    rows = [
        Utterance(f"{part}_{i}", "x.wav", split=part)
        for part, count in counts.items()
        for i in range(count)
    ]
    parts = official(rows)
    assert sizes(parts) == (9988, 1108, 2610)
    for name, part in zip(counts, parts, strict=True):
        assert {i.split("_")[0] for i in part} == {name}
    with pytest.raises(ValueError, match="1108 validation utterances"):
        official_plus_valid(rows, 0.1, 42)


def test_official_parts_that_are_not_there_are_named():
    rows = [
        Utterance("a", "a.wav", split="train"),
        Utterance("b", "b.wav", split="test"),
    ]
    with pytest.raises(ValueError, match="no valid utterances"):
        official(rows)
    with pytest.raises(
        ValueError, match="d .d.wav.: the official part is 'dev'"
    ):
        official([*rows, Utterance("d", "d.wav", split="dev")])


def test_groups_that_are_not_there_are_named(iemocap):
    with pytest.raises(ValueError, match=r"a \(a.wav\) has no spk"):
        groups_of([Utterance("a", "a.wav")], "spk")
    with pytest.raises(ValueError, match="no utterance has session '9'"):
        leave_one_group_out(iemocap, "session", "9", 42)
    with pytest.raises(ValueError, match="no speaker '9F'"):
        leave_one_speaker_out(iemocap, "9F")
    alone = [Utterance("a", "a.wav", spk="1", session="1")]
    with pytest.raises(ValueError, match="not two"):
        leave_one_speaker_out(alone, "1")
