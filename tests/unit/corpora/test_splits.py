"""Splits: the paper's sizes, and no dependence on anything but the ids."""

import json
import os
import random
import subprocess
import sys

import pytest

from speechbrain_e2v.corpora.splits import (
    carve_valid,
    holdout,
    random_kfold,
    random_resample,
    shuffled,
    validate_on_test,
)


def ids(count):
    return [f"utt{i:05d}" for i in range(count)]


def sizes(parts):
    return tuple(len(part) for part in parts)


TEN_FOLDS = {
    "RAVDESS": (1440, 1152, 144, 144),
    "SAVEE": (480, 384, 48, 48),
    "EmoDB": (535, 429, 53, 53),
    "EMOVO": (588, 472, 58, 58),
    "CaFE": (936, 750, 93, 93),
    "AESDD": (604, 484, 60, 60),
    "SUBESCO": (7000, 5600, 700, 700),
    "ShEMO": (3000, 2400, 300, 300),
    "URDU": (400, 320, 40, 40),
}


@pytest.mark.parametrize("corpus", TEN_FOLDS)
def test_ten_folds_have_the_papers_sizes(corpus):
    count, *expected = TEN_FOLDS[corpus]
    names = ids(count)
    tested = []
    for fold in range(10):
        parts = random_kfold(names, 10, fold, seed=42)
        assert sizes(parts) == tuple(expected)
        assert sorted(sum(parts, [])) == names  # disjoint and complete
        tested += parts[2]
    assert len(tested) == len(set(tested)) == 10 * (count // 10)


def test_the_next_block_validates():
    folds = [random_kfold(ids(100), 10, fold, seed=1) for fold in range(10)]
    for fold in range(10):
        assert folds[fold][1] == folds[(fold + 1) % 10][2]


def test_song_has_five_folds_and_carves_its_validation():
    for fold in range(5):
        parts = random_kfold(ids(1012), 5, fold, seed=42, valid=0.1)
        assert sizes(parts) == (729, 81, 202)
        whole = random_kfold(ids(1012), 5, fold, seed=42, valid=0)
        assert sizes(whole) == (810, 0, 202)
        assert set(parts[0] + parts[1]) == set(whole[0])
        assert sizes(validate_on_test(whole)) == (810, 202, 202)
        with pytest.raises(ValueError, match="81 utterances already validate"):
            validate_on_test(parts)


def test_holdout_of_the_visualisation():
    parts = holdout(ids(7000), 0.2, 0.1, seed=42)
    assert sizes(parts) == (5040, 560, 1400)
    assert sorted(sum(parts, [])) == ids(7000)


def test_reshuffled_folds_are_independent():
    folds = [random_resample(ids(535), fold, seed=42) for fold in range(10)]
    for parts in folds:
        assert sizes(parts) == (429, 53, 53)
        assert sorted(sum(parts, [])) == ids(535)
    tested = [name for parts in folds for name in parts[2]]
    assert len(set(tested)) < len(tested)


@pytest.mark.parametrize(
    ("count", "ratio", "expected"),
    [
        (4446, 0.2, (3556, 890)),
        (4508, 0.2, (3606, 902)),
        (4380, 0.2, (3504, 876)),
        (4500, 0.2, (3600, 900)),
        (4290, 0.2, (3432, 858)),
        (1116, 0.1, (1004, 112)),
        (10, 0.3, (7, 3)),  # 0.7 * 10 is 6.99... in binary
    ],
)
def test_carving_rounds_as_the_released_code(count, ratio, expected):
    assert sizes(carve_valid(ids(count), ratio, 42, "s")) == expected


def test_order_of_the_ids_does_not_matter_and_the_seed_does():
    names = ids(300)
    mixed = random.Random(0).sample(names, 300)
    for fold in (0, 7):
        one = random_kfold(names, 10, fold, seed=42)
        assert one == random_kfold(mixed, 10, fold, seed=42)
        assert one != random_kfold(names, 10, fold, seed=43)
    assert shuffled(names, 1, "a") != shuffled(names, 1, "b")


def test_two_processes_with_other_hash_seeds_agree():
    code = (
        "import json; from speechbrain_e2v.corpora.splits import *;"
        "print(json.dumps(random_kfold({f'u{i}' for i in range(50)}, 5, 2, 9)))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    names = [f"u{i}" for i in range(50)]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0]) == list(random_kfold(names, 5, 2, 9))


def test_the_order_is_pinned():
    # Published results name folds by number: this order must never change.
    assert shuffled("abcdef", 42) == ["a", "d", "f", "c", "e", "b"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_kfold(ids(50), 10, 10, 1), "fold 10 of 10"),
        (lambda: random_kfold(ids(5), 10, 0, 1), "5 utterances cannot fill 10"),
        (lambda: carve_valid(ids(5), 1.0, 1), "validation share is 1.0"),
        (lambda: shuffled(["a", "a"], 1), "duplicate ids.*'a'"),
        (lambda: random_resample(ids(5), 0, 1), "leave a part empty"),
    ],
)
def test_impossible_splits_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
