"""Cross-validation over whole speakers or dialogues."""

import itertools

import pytest

from speechbrain_e2v.corpora.group_splits import group_blocks, group_kfold
from speechbrain_e2v.corpora.protocols import (
    PROTOCOLS,
    make_folds,
    protocol_caveats,
)
from speechbrain_e2v.corpora.utterance import Utterance

GOLDEN = (["2", "3"], ["0", "5"], ["1", "4"])


def corpus(speakers, each, **fields):
    return [
        Utterance(f"s{s:02d}_{i:03d}", "x.wav", spk=f"s{s:02d}", **fields)
        for s in range(speakers)
        for i in range(each)
    ]


def test_no_speaker_is_in_two_parts():
    rows = corpus(24, 60)
    tested = []
    for fold in range(10):
        parts = group_kfold(rows, "spk", 10, fold, seed=42)
        speakers = [{name[:3] for name in part} for part in parts]
        for one, other in itertools.combinations(speakers, 2):
            assert not one & other
        assert sorted(n for p in parts for n in p) == [u.id for u in rows]
        tested += parts[2]
    assert sorted(tested) == [u.id for u in rows]


def test_blocks_are_balanced():
    uneven = [
        Utterance(f"{spk}_{i}", "x.wav", spk=spk)
        for spk, n in zip("abcdefgh", (80, 40, 30, 10, 10, 10, 10, 10),
                          strict=True)
        for i in range(n)
    ]  # fmt: skip
    blocks = group_blocks(uneven, "spk", 3, seed=1)
    sizes = [sum(u.spk in block for u in uneven) for block in blocks]
    assert sorted(sizes) == [60, 60, 80]


def test_depends_on_the_set_and_the_seed_only():
    rows = corpus(12, 3)
    assert group_kfold(rows, "spk", 4, 1, 5) == group_kfold(
        rows[::-1], "spk", 4, 1, 5
    )
    assert group_kfold(rows, "spk", 4, 1, 5) != group_kfold(
        rows, "spk", 4, 1, 6
    )
    # The same in every process, whatever PYTHONHASHSEED is.
    names = [Utterance(str(i), "x.wav", spk=str(i)) for i in range(6)]
    assert group_kfold(names, "spk", 3, 0, 7) == GOLDEN


@pytest.mark.parametrize(
    ("speakers", "k", "fold", "message"),
    [
        (4, 5, 0, "4 values of spk cannot fill 5 folds"),
        (4, 2, 0, "3 folds or more"),
        (4, 3, 3, "fold 3 of 3"),
    ],
)
def test_refusals(speakers, k, fold, message):
    with pytest.raises(ValueError, match=message):
        group_kfold(corpus(speakers, 2), "spk", k, fold, 1)


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
            marks = protocol_caveats(make_folds(name, rows, 10, 1), rows)
            assert "the epoch is chosen on test utterances" in marks, name
