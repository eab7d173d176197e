"""Folds of EmoDB's size, and caveats that follow from the folds."""

import pytest

from speechbrain_e2v.corpora.audit import KINDS
from speechbrain_e2v.corpora.caveats import protocol_caveats
from speechbrain_e2v.corpora.protocols import (
    PROTOCOLS,
    Fold,
    make_folds,
)
from speechbrain_e2v.corpora.utterance import Utterance


def corpus(size=535, speakers=10):
    return [
        Utterance(f"u{i:03d}", f"{i}.wav", spk=f"{i % speakers:02d}")
        for i in range(size)
    ]


def test_protocols_are_described_and_share_known_things():
    for protocol in PROTOCOLS.values():
        assert protocol.description
        assert protocol.shared | protocol.valid_shared <= set(KINDS)


def test_random_folds_have_the_papers_sizes():
    rows = corpus()
    folds = make_folds("random_kfold", rows, 10, seed=42)
    assert {(len(f.train), len(f.valid), len(f.test)) for f in folds} == {
        (429, 53, 53)
    }
    tested = [name for fold in folds for name in fold.test]
    assert len(tested) == len(set(tested)) == 530
    for number, fold in enumerate(folds):
        assert fold.valid == folds[(number + 1) % 10].test
    assert protocol_caveats(folds, rows) == [
        "test speakers occur in training",
        "test speakers occur in validation",
        "5 of 535 utterances are never tested",
    ]


def test_speakers_are_in_one_part_only():
    rows = corpus()
    speaker = {u.id: u.spk for u in rows}
    folds = make_folds("leave_one_speaker_out", rows, 10, seed=42)
    assert len(folds) == 10
    for number, fold in enumerate(folds):
        parts = [
            {speaker[name] for name in part}
            for part in (fold.train, fold.valid, fold.test)
        ]
        assert [len(part) for part in parts] == [8, 1, 1]
        assert parts[2] == {f"{number:02d}"}
        assert parts[1] == {f"{(number + 1) % 10:02d}"}
        assert not parts[0] & (parts[1] | parts[2])
    assert protocol_caveats(folds, rows) == [
        "no test speaker occurs in training"
    ]


def test_folds_do_not_depend_on_the_order_of_utterances():
    rows = corpus(60)
    for protocol in ("random_kfold", "random_resample"):
        forth = make_folds(protocol, rows, 5, seed=1)
        assert make_folds(protocol, rows[::-1], 5, seed=1) == forth
        assert make_folds(protocol, rows, 5, seed=2) != forth


def test_caveats_of_doubtful_folds():
    rows = [Utterance(n, f"{n}.wav", spk=n) for n in "abc"]
    rows.append(Utterance("d", "d.wav"))
    folds = [Fold("x", ("a",), ("b",), ("b",)), Fold("y", ("a",), (), ("b",))]
    assert protocol_caveats(folds, rows) == [
        "1 speakers are unknown",
        "no test speaker occurs in training",
        "the epoch is chosen on test utterances",
        "3 of 4 utterances are never tested",
        "some utterances are tested in several folds",
    ]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="'random'; there are random_kfold"):
        make_folds("random", corpus(), 10, 1)
    with pytest.raises(ValueError, match="n_folds is 0"):
        make_folds("random_kfold", corpus(), 0, 1)
    rows = [Utterance(n, "x.wav", split=n) for n in ("train", "test")]
    with pytest.raises(ValueError, match="valid"):
        make_folds("official", rows, 1, 1)
    rows = [Utterance(n, "x.wav", session=n) for n in "ab"]
    with pytest.raises(ValueError, match=r"\[0, 1, 1\] utterances train"):
        make_folds("leave_one_session_out", rows, 2, 1)


def test_a_plain_kfold_tests_every_utterance():
    rows = corpus(1012)
    folds = make_folds("random_kfold_plain", rows, 5, seed=42)
    assert [len(fold.test) for fold in folds] == [203, 203, 202, 202, 202]
    tested = [name for fold in folds for name in fold.test]
    assert sorted(tested) == sorted(u.id for u in rows)
    assert all(len({*f.train, *f.valid, *f.test}) == 1012 for f in folds)
    caveats = protocol_caveats(folds, rows)
    assert not any("never tested" in caveat for caveat in caveats)
    carved = make_folds("random_kfold_carved", rows, 5, seed=42)
    assert "2 of 1012 utterances are never tested" in protocol_caveats(
        carved, rows
    )


def test_training_of_an_official_split_is_not_missing_from_its_test():
    rows = [
        Utterance(f"{p}{i}", "x.wav", split=p, spk=p)
        for p, n in (("train", 672), ("valid", 200), ("test", 200))
        for i in range(n)
    ]
    for protocol in ("official", "leave_one_speaker_out"):
        caveats = protocol_caveats(make_folds(protocol, rows, 3, 1), rows)
        assert not any("never tested" in caveat for caveat in caveats)
    some = make_folds("leave_one_speaker_out", rows, 1, 1)
    assert "872 of 1072 utterances are never tested" in protocol_caveats(
        some, rows
    )
