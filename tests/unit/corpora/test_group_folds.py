"""Cross-validation over whole speakers or dialogues."""

import itertools
from collections import Counter

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from speechbrain_e2v.corpora.caveats import protocol_caveats
from speechbrain_e2v.corpora.group_splits import group_kfold
from speechbrain_e2v.corpora.protocols import (
    PROTOCOLS,
    make_folds,
    require_choice,
)
from speechbrain_e2v.corpora.utterance import Utterance

GOLDEN = [["4"], ["0"], ["3"]]


def corpus(speakers, each, **fields):
    return [
        Utterance(f"s{s:02d}_{i:03d}", "x.wav", spk=f"s{s:02d}", **fields)
        for s in range(speakers)
        for i in range(each)
    ]


def urdu():
    """As in URDU: 400 utterances, 26 of 29 speakers have one emotion."""
    rows = []
    for speaker in range(29):
        emotions = "ahns" if speaker >= 26 else "ahns"[speaker % 4]
        for i in range(14 if speaker < 23 else 13):
            rows.append(
                Utterance(f"{speaker:02d}_{i:02d}", "x.wav",
                          spk=f"{speaker:02d}", emo=emotions[i % len(emotions)])
            )  # fmt: skip
    return rows


def test_no_speaker_is_in_two_parts():
    rows = corpus(24, 60)
    tested = []
    for parts in group_kfold(rows, "spk", 10, seed=42):
        speakers = [{name[:3] for name in part} for part in parts]
        for one, other in itertools.combinations(speakers, 2):
            assert not one & other
        assert sorted(n for p in parts for n in p) == [u.id for u in rows]
        tested += parts[2]
    assert sorted(tested) == [u.id for u in rows]


def test_blocks_are_balanced():
    rows = corpus(24, 60)
    sizes = [len(p[2]) for p in group_kfold(rows, "spk", 10, seed=42)]
    assert sorted(set(sizes)) == [120, 180]  # two or three of 24 speakers


def test_test_blocks_are_scikit_learns():
    rows = urdu()
    for seed in (1, 42):
        folds = list(group_kfold(rows, "spk", 5, seed))
        assert sorted(n for f in folds for n in f[2]) == [u.id for u in rows]
        for k in (3, 5, 10):
            ours = [
                _unlikeness(rows, parts[2])
                for parts in group_kfold(rows, "spk", k, seed)
            ]
            theirs = [
                _unlikeness(rows, [rows[i].id for i in test])
                for _, test in StratifiedGroupKFold(k).split(
                    np.zeros(len(rows)), [u.emo for u in rows],
                    [u.spk for u in rows])
            ]  # fmt: skip
            assert abs(np.mean(ours) - np.mean(theirs)) < 0.15


def _unlikeness(rows, names):
    emotion = {u.id: u.emo for u in rows}
    usual, here = Counter(emotion.values()), Counter(map(emotion.get, names))
    return sum(abs(here[e] / len(names) - usual[e] / len(rows)) for e in usual)


def test_classes_reach_the_parts_where_speakers_have_one_each():
    rows = urdu()
    emotion = {u.id: u.emo for u in rows}
    folds = make_folds("speaker_kfold", rows, 5, 42)
    for fold in folds:
        for part in (fold.train, fold.valid, fold.test):
            assert {emotion[name] for name in part} == set("ahns")
    require_choice(folds, rows)
    caveats = protocol_caveats(folds, rows)
    assert (
        "26 of 29 speakers have one class only: speaker and class are "
        "confounded"
    ) in caveats
    assert not any("lacks a class" in caveat for caveat in caveats)


def spoken(**table):
    return [
        Utterance(f"{s}{e}{i}", "x.wav", spk=s, emo=e)
        for s, counts in table.items()
        for e, count in counts.items()
        for i in range(count)
    ]


def test_classes_that_only_some_speakers_have_are_confounded():
    def said(rows):
        folds = make_folds("leave_one_speaker_out_carved", rows, 9, 1)
        return [c for c in protocol_caveats(folds, rows) if "confounded" in c]

    everybody = dict.fromkeys("afhns", 12)
    assert said(spoken(old=everybody, young=everybody)) == []
    halves = spoken(old={"a": 9, "f": 9}, young={"h": 9, "n": 9})
    assert said(halves) == [
        "speaker and class are confounded: their adjusted mutual information "
        "is 1.00 of 1"
    ]
    one_each = spoken(old={"a": 9}, young={"n": 9})
    assert said(one_each)[0].startswith("2 of 2 speakers have one class only")


def test_no_block_is_empty_where_each_speaker_has_one_class():
    """scikit-learn's blocks may be, of as many speakers as folds."""
    counts = (10, 8, 1, 2, 7, 8, 5, 10, 10, 2, 4, 2)
    rows = spoken(**{
        f"s{i:02d}": {"ab"[i % 2]: count} for i, count in enumerate(counts)
    })  # fmt: skip
    for seed in range(20):
        for k in (3, 9, 12):
            folds = make_folds("speaker_kfold", rows, k, seed)
            assert len(folds) == k
            tested = sorted(name for fold in folds for name in fold.test)
            assert tested == sorted(u.id for u in rows)


def test_one_speaker_cannot_be_left_out():
    rows = spoken(only={"a": 5, "b": 5})
    for protocol in ("speaker_kfold", "leave_one_speaker_out"):
        with pytest.raises(ValueError, match="use the protocol random_kfold"):
            make_folds(protocol, rows, 3, 1)


def test_a_part_that_lacks_a_class_is_said():
    rows = urdu()
    caveats = protocol_caveats(make_folds("speaker_kfold", rows, 15, 1), rows)
    (found,) = [c for c in caveats if c.startswith("the test lacks a class")]
    assert "spk block" in found and " of 15 folds (" in found


def test_one_class_is_nothing_to_choose_on():
    rows = [
        Utterance(f"{s}{i}", "x.wav", spk=s, emo=e)
        for s, e in (("1", "a"), ("2", "b"), ("3", "a"), ("4", "b"))
        for i in range(3)
    ]
    folds = make_folds("leave_one_speaker_out", rows, 4, 1)
    with pytest.raises(ValueError, match="speaker 1: all 3 .* are 'b'"):
        require_choice(folds, rows)
    unlabelled = [Utterance(u.id, u.wav, spk=u.spk) for u in rows]
    require_choice(folds, unlabelled)


def test_depends_on_the_set_and_the_seed_only():
    rows = corpus(12, 3)

    def folds(rows, seed):
        return list(group_kfold(rows, "spk", 4, seed))

    assert folds(rows, 5) == folds(rows[::-1], 5)
    assert folds(rows, 5) != folds(rows, 6)
    # The same in every process, whatever PYTHONHASHSEED is.
    names = [Utterance(str(i), "x.wav", spk=str(i)) for i in range(6)]
    assert [f[2] for f in group_kfold(names, "spk", 6, 7)][:3] == GOLDEN


@pytest.mark.parametrize(
    ("speakers", "k", "message"),
    [
        (4, 5, "n_folds is 5, with 4 values of spk it must be 3 to 4"),
        (4, 2, "n_folds is 2, with 4 values of spk it must be 3 to 4"),
        (2, 10, "too few .* use the protocol leave_one_speaker_out_carved"),
    ],
)
def test_refusals(speakers, k, message):
    with pytest.raises(ValueError, match=message):
        make_folds("speaker_kfold", corpus(speakers, 2), k, 1)


def tess(**fields):
    """Two women say each word in each emotion."""
    return [
        Utterance(f"{s}_{word}_{emotion}", "x.wav", spk=s, emo=emotion,
                  **({"text": f"Say the word {word}"} | fields))
        for s in ("OAF", "YAF")
        for word in ("back", "bar", "base", "bath", "bean")
        for emotion in ("angry", "sad", "happy")
    ]  # fmt: skip


def test_two_speakers_train_validate_and_test_apart():
    rows = tess()
    word = {u.id: u.text for u in rows}
    # Every message on the way ends at a protocol that works.
    for protocol in ("speaker_kfold", "leave_one_speaker_out"):
        with pytest.raises(ValueError, match="leave_one_speaker_out_carved"):
            make_folds(protocol, rows, 10, 1)
    folds = make_folds("leave_one_speaker_out_carved", rows, 10, 1)
    assert [fold.name for fold in folds] == ["speaker OAF", "speaker YAF"]
    for fold in folds:
        assert {n[:3] for n in fold.train} == {n[:3] for n in fold.valid}
        assert {n[:3] for n in fold.test} != {n[:3] for n in fold.train}
        assert len(fold.train) == 12 and len(fold.valid) == 3
        heard, chosen = ({word[n] for n in p} for p in (fold.train, fold.valid))
        assert not heard & chosen
    require_choice(folds, rows)
    assert protocol_caveats(folds, rows) == [
        "no test speaker occurs in training"
    ]


@pytest.mark.parametrize("text", [None, "the same"])
def test_without_sentences_utterances_are_held_out(text):
    folds = make_folds("leave_one_speaker_out_carved", tess(text=text), 10, 1)
    assert [(len(f.train), len(f.valid)) for f in folds] == [(12, 3)] * 2


def test_unknown_speaker_is_named():
    rows = [*corpus(4, 2), Utterance("who", "who.wav")]
    with pytest.raises(ValueError, match="who .who.wav. has no spk"):
        make_folds("speaker_kfold", rows, 3, 1)


# N of the corpora, and train, valid and test of every fold in the paper
@pytest.mark.parametrize(
    ("protocol", "count", "k", "sizes"),
    [
        ("random_kfold", 1440, 10, (1152, 144, 144)),
        ("random_kfold", 480, 10, (384, 48, 48)),
        ("random_kfold", 588, 10, (472, 58, 58)),
        ("random_kfold", 936, 10, (750, 93, 93)),
        ("random_kfold", 604, 10, (484, 60, 60)),
        ("random_kfold", 7000, 10, (5600, 700, 700)),
        ("random_kfold", 3000, 10, (2400, 300, 300)),
        ("random_kfold", 400, 10, (320, 40, 40)),
        ("random_kfold_carved", 1012, 5, (729, 81, 202)),
        ("random_kfold_plain", 1010, 5, (727, 81, 202)),
    ],
)
def test_random_fold_sizes(protocol, count, k, sizes):
    rows = [Utterance(f"{i:04d}", "x.wav") for i in range(count)]
    folds = make_folds(protocol, rows, k, 42)
    assert len(folds) == k
    tested = set()
    for fold in folds:
        assert (len(fold.train), len(fold.valid), len(fold.test)) == sizes
        assert len({*fold.train, *fold.valid, *fold.test}) == count
        assert not tested & set(fold.test)
        tested |= set(fold.test)
    assert len(tested) == k * sizes[2]


@pytest.mark.parametrize(
    ("protocol", "counts", "sizes"),
    [
        ("official", (9988, 1108, 2610), (9988, 1108, 2610)),
        ("official", (17420, 2819, 4198), (17420, 2819, 4198)),
        ("official", (1231, 216, 656), (1231, 216, 656)),
        ("official_plus_valid", (1116, 0, 280), (1004, 112, 280)),
    ],
)
def test_official_sizes(protocol, counts, sizes):
    rows = [
        Utterance(f"{part}{i}", "x.wav", split=part)
        for part, n in zip(("train", "valid", "test"), counts, strict=True)
        for i in range(n)
    ]
    (fold,) = make_folds(protocol, rows, 10, 42)
    assert (len(fold.train), len(fold.valid), len(fold.test)) == sizes
    assert all(name.startswith("test") for name in fold.test)


def test_dialogues_stay_together():
    rows = [
        Utterance(f"{d}_{i}", "x.wav", dialog=str(d), spk=f"{d}_{i % 2}")
        for d in range(50)
        for i in range(28)
    ]
    folds = make_folds("dialog_kfold", rows, 5, 42)
    assert [len(fold.test) for fold in folds] == [280] * 5
    assert "no test speaker occurs in training" in protocol_caveats(folds, rows)


def test_starred_protocols_say_so():
    rows = [
        Utterance(f"{s}{g}", "x.wav", spk=f"{s}{g}", session=s)
        for s in "123"
        for g in "FM"
    ]
    for name in PROTOCOLS:
        if name.endswith("test_validates"):
            marks = protocol_caveats(make_folds(name, rows, 3, 1), rows)
            assert "the epoch is chosen on test utterances" in marks, name
