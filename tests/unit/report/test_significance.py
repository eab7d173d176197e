"""Paired differences against naive loops over speakers."""

import itertools

import numpy as np
import pytest

from speechbrain_e2v.metrics import unweighted_accuracy, weighted_accuracy
from speechbrain_e2v.report.predictions import read_predictions
from speechbrain_e2v.report.significance import paired_difference


def predictions(seed, quality, speakers=4, each=12, classes=3):
    generator = np.random.default_rng(seed)
    reference = np.random.default_rng(0).integers(classes, size=speakers * each)
    wrong = generator.integers(classes, size=len(reference))
    right = generator.random(len(reference)) < quality
    chosen = np.where(right, reference, wrong)
    return {
        "id": [f"u{i}" for i in range(len(reference))],
        "speaker": [f"s{i % speakers}" for i in range(len(reference))],
        "reference": [str(c) for c in reference],
        "predicted": [str(c) for c in chosen],
    }


def score(metric, reference, predicted):
    function = {"wa": weighted_accuracy, "ua": unweighted_accuracy}[metric]
    return function([int(c) for c in reference], [int(c) for c in predicted])


@pytest.mark.parametrize("metric", ["wa", "ua"])
def test_all_swaps_of_whole_speakers(metric):
    one, other = predictions(1, 0.8), predictions(2, 0.5)
    observed = score(metric, one["reference"], one["predicted"]) - score(
        metric, other["reference"], other["predicted"]
    )
    extreme = total = 0
    speakers = sorted(set(one["speaker"]))
    for flips in itertools.product([False, True], repeat=len(speakers)):
        flipped = dict(zip(speakers, flips, strict=True))
        mine, theirs = [], []
        for i, speaker in enumerate(one["speaker"]):
            pair = one["predicted"][i], other["predicted"][i]
            first, second = pair[::-1] if flipped[speaker] else pair
            mine.append(first)
            theirs.append(second)
        difference = score(metric, one["reference"], mine) - score(
            metric, one["reference"], theirs
        )
        extreme += abs(difference) >= abs(observed) - 1e-9
        total += 1
    found = paired_difference(one, other, metric)
    assert found.difference == pytest.approx(observed)
    assert found.p == pytest.approx(extreme / total)
    assert found.speakers == 4
    low, high = found.interval95
    assert low <= observed <= high


def test_equal_predictions():
    one = predictions(1, 0.6)
    found = paired_difference(one, one)
    assert found.difference == 0
    assert found.p == 1
    assert found.interval95 == (0, 0)


def test_order_of_rows_and_number_of_seeds_do_not_matter():
    one, other = predictions(1, 0.8), predictions(2, 0.5)
    order = np.random.default_rng(3).permutation(len(one["id"]))
    mixed = {name: [values[i] for i in order] for name, values in one.items()}
    thrice = {name: values * 3 for name, values in one.items()}
    expected = paired_difference(one, other, "ua")
    for same in (mixed, thrice):
        found = paired_difference(same, other, "ua")
        assert found.difference == pytest.approx(expected.difference)
        assert found.p == pytest.approx(expected.p)
        assert found.interval95 == pytest.approx(expected.interval95)


def test_many_speakers_are_drawn():
    one = predictions(1, 0.9, speakers=40, each=6)
    other = predictions(2, 0.3, speakers=40, each=6)
    assert paired_difference(one, other).p < 0.001
    again = predictions(4, 0.9, speakers=40, each=6)
    assert paired_difference(one, again).p > 0.05


def speakers_of_whom_all_agree(count):
    """The first is right about everybody, the second about nobody."""
    names = [f"s{i}" for i in range(count)]
    one = {
        "id": names,
        "speaker": names,
        "reference": ["x", "y"] * (count // 2),
    }
    one["predicted"] = one["reference"]
    return one, {**one, "predicted": ["z"] * count}


@pytest.mark.parametrize("count", [2, 4, 12, 14])
def test_p_of_few_speakers_is_a_share_of_all_swaps(count):
    """Two of all ways are as extreme: none swapped, and all."""
    one, other = speakers_of_whom_all_agree(count)
    assert paired_difference(one, other).p == 2 / 2**count
    assert paired_difference(other, one).p == 2 / 2**count


@pytest.mark.parametrize("count", [30, 60])
def test_p_of_many_speakers_is_never_zero(count):
    """The data themselves are one of the ways: (0 + 1) / (draws + 1)."""
    one, other = speakers_of_whom_all_agree(count)
    assert paired_difference(one, other).p == 1 / (2**14 + 1)


def test_p_is_the_same_whoever_stands_first():
    one, other = (predictions(seed, 0.6, speakers=20) for seed in (1, 5))
    p = paired_difference(one, other).p
    assert 0 < p < 1 and paired_difference(other, one).p == p


def test_one_speaker_proves_nothing():
    found = paired_difference(
        predictions(1, 0.9, speakers=1), predictions(2, 0.1, speakers=1)
    )
    assert found.difference > 0 and found.interval95 is None
    assert (found.p, found.speakers) == (1.0, 1)


def test_p_is_uniform_when_nothing_differs():
    values = [
        paired_difference(
            predictions(2 * i + 1, 0.6, speakers=8),
            predictions(2 * i + 2, 0.6, speakers=8),
        ).p
        for i in range(200)
    ]
    assert 0.01 < np.mean(np.array(values) <= 0.1) < 0.2
    assert 0.4 < np.mean(values) < 0.65


def test_other_utterances_are_refused():
    one = predictions(1, 0.8)
    other = {**one, "reference": ["0"] * len(one["id"])}
    with pytest.raises(ValueError, match="not in both runs.*u"):
        paired_difference(one, other)
    with pytest.raises(ValueError, match="metric is 'f1'"):
        paired_difference(one, one, "f1")


def test_predictions_of_unknown_speakers(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(
        "seed,fold,id,speaker,reference,predicted,p(x)\n"
        "1,1,u,,x,y,0.5\n1,1,v,s,x,x,0.5\n"
    )
    assert read_predictions(path) == {
        "seed": ["1", "1"],
        "fold": ["1", "1"],
        "id": ["u", "v"],
        "speaker": ["u", "s"],
        "reference": ["x", "x"],
        "predicted": ["y", "x"],
    }
