"""What shuffled labels teach is no better than a constant; what is real is."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.downstream.regression.targets import RatingTargets
from speechbrain_e2v.downstream.results import (
    FORMAT,
    summarise,
    write_predictions,
    write_results,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features
from speechbrain_e2v.report.comparisons import against_floors
from speechbrain_e2v.report.floor_tests import with_tests
from speechbrain_e2v.report.floors import predictions_of, with_floors
from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.rows import read_rows
from speechbrain_e2v.report.significance import (
    holm,
    mcnemar,
    paired_rating_difference,
)
from tests.unit.report.made_up_runs import UPSTREAMS, write_run

CLASSES = ("a", "b", "c", "d")
VOICES, EACH = 12, 20
IDS = [f"s{v:02d}-{i:02d}" for v in range(VOICES) for i in range(EACH)]
SPEAKERS = {name: name[:3] for name in IDS}
TRUTH = {name: int(name[-2:]) % len(CLASSES) for name in IDS}  # as many of each


def folds():
    """Four speakers test, the next four validate."""
    blocks = [
        tuple(n for n in IDS if int(SPEAKERS[n][1:]) % 3 == block)
        for block in range(3)
    ]
    for number in range(3):
        test, valid, *rest = blocks[number:] + blocks[:number]
        yield Fold(f"block {number}", sum(rest, ()), valid, test)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Vectors with a place for each class and for each speaker."""
    generator = np.random.default_rng(0)
    place = generator.normal(size=(len(CLASSES), 8)) * 0.6
    voice = generator.normal(size=(VOICES, 8)) * 0.5
    rows = [
        (
            name,
            torch.tensor(
                place[TRUTH[name]]
                + voice[int(SPEAKERS[name][1:])]
                + generator.normal(size=8),
                dtype=torch.float32,
            )[None],
        )
        for name in IDS
    ]
    folder = tmp_path_factory.mktemp("features") / "store"
    return FeatureStore(write_features(folder, rows))


def trained(store, folder, shuffled_by=None):
    """Runs whose training labels, of each fold, are shuffled or are not."""
    runs = []
    for number, fold in enumerate(folds()):
        labels = dict(TRUTH)
        if shuffled_by is not None:
            learned = [*fold.train, *fold.valid]
            order = np.random.default_rng([shuffled_by, number])
            mixed = order.permutation([TRUTH[name] for name in learned])
            labels |= dict(zip(learned, mixed.tolist(), strict=True))
        runs += cross_validate(
            LogisticTrainer([0.1]), store, ClassTargets(CLASSES, labels),
            [fold], [1], folder / str(number), {"kind": "made up"},
            progress=False,
        )  # fmt: skip
    return runs


def written(folder, runs, upstream="mine"):
    targets = ClassTargets(CLASSES)
    results = {
        "format": FORMAT,
        "corpus": "made up",
        "protocol": {"name": "speakers", "n_folds": 3, "marks": []},
        "seeds": sorted({run["seed"] for run in runs}),
        "upstream": UPSTREAMS[upstream],
        "classifier": {"kind": "logistic regression"},
        **summarise(runs, targets, SPEAKERS),
    }
    write_predictions(folder / "predictions.csv", runs, targets, SPEAKERS)
    return write_results(folder / "results.json", results)


def rows_with_tests(*paths):
    rows = with_tests(with_floors(read_rows(paths)))
    return {row.features: row for row in rows}


def warning(row):
    (row,) = [r for r in with_tests(with_floors([row])) if r.trained]
    return row.warning("wa")


def test_shuffled_labels_are_flagged_in_99_of_100_runs(store, tmp_path):
    """Classes of like size: the constant is as weak as it can be."""
    (row,) = read_rows([written(tmp_path, trained(store, tmp_path / "real"))])
    assert warning(row) is None
    said = []
    for number in range(100):
        runs = trained(store, tmp_path / str(number), shuffled_by=number)
        write_predictions(
            tmp_path / "predictions.csv", runs, ClassTargets(CLASSES), SPEAKERS
        )
        said.append(warning(row))
    assert said.count("not better than a constant") >= 99


def test_a_real_effect_is_found_and_a_floor_is_a_floor(store, tmp_path):
    real = written(tmp_path / "real", trained(store, tmp_path / "a"))
    shuffled = written(
        tmp_path / "mfcc", trained(store, tmp_path / "b", 1), "mfcc"
    )
    rows = rows_with_tests(real, shuffled)
    assert list(rows) == ["constant", "prior", "MFCC statistics", "mine"]
    assert rows["constant"].tests == rows["prior"].tests == ()
    found = {test.floor: test for test in rows["mine"].tests}
    assert set(found) == {"constant", "MFCC statistics"}
    assert {test.verdict for test in found.values()} == {
        "better than a constant", "better than MFCC statistics",
    }  # fmt: skip
    assert sum(test.is_best for test in found.values()) == 1
    page = results_page(list(rows.values()))
    assert "## Against the floors" in page
    (line,) = [
        x
        for x in page.splitlines()
        if x.startswith("| made up | speakers | WA")
    ]
    assert line.count("not better than a constant") == 1


def test_shuffled_twins_are_not_better_than_each_other(store, tmp_path):
    rows = rows_with_tests(
        written(tmp_path / "m", trained(store, tmp_path / "a", 1), "mfcc"),
        written(tmp_path / "x", trained(store, tmp_path / "b", 2)),
    )
    verdicts = {test.verdict for test in rows["mine"].tests}
    assert verdicts == {
        "not better than a constant", "not better than MFCC statistics",
    }  # fmt: skip


def test_few_speakers_prove_nothing_and_are_not_blamed(tmp_path):
    write_run(tmp_path / "a", "mine", [(0, 1), (0, 1)])
    rows = with_tests(with_floors(read_rows([tmp_path / "a/results.json"])))
    (test,) = rows[-1].tests
    assert (test.floor, test.is_best, test.difference.speakers) == (
        "constant", True, 2,
    )  # fmt: skip
    assert test.mcnemar.first_only == 2 and test.mcnemar.p == 0.5
    assert test.verdict == "not better than a constant"  # by utterances
    many = replace(test, mcnemar=replace(test.mcnemar, p=0.001))
    assert many.verdict == "too few speakers to tell"
    clear = replace(many, difference=replace(test.difference, p=0.001))
    assert replace(clear, p_speakers=0.01, p_utterances=0.01).verdict == (
        "better than a constant"
    )
    assert replace(clear, p_speakers=0.03).verdict == (
        "unclear among so many tests"
    )
    (line,) = against_floors(rows).rows
    assert line[3] == "constant (the best)" and line[-1] == test.verdict


def test_holm_is_the_closed_test_of_bonferroni():
    """A p value is the largest of all sets of hypotheses that contain it."""
    values = np.random.default_rng(0).random(6) ** 3
    for one, adjusted in enumerate(holm(values)):
        worst = max(
            min(1, len(some) * min(values[i] for i in some))
            for size in range(1, 7)
            for some in itertools.combinations(range(6), size)
            if one in some
        )
        assert adjusted == pytest.approx(worst)
    assert holm([]) == []


def side(right, seeds=1, names="abcdef"):
    """One prediction an utterance and seed: a row of ``right`` a seed."""
    flat = [yes for row in right for yes in row]
    return {
        "id": list(names) * seeds,
        "speaker": list(names) * seeds,
        "reference": ["x"] * len(flat),
        "predicted": ["x" if yes else "y" for yes in flat],
    }


def test_mcnemar_counts_an_utterance_once_whatever_the_seeds():
    one = side([[1, 1, 1, 1, 1, 0]])
    other = side([[0, 0, 0, 0, 0, 1]])
    found = mcnemar(one, other)
    assert (found.first_only, found.second_only) == (5, 1)
    # both tails of six throws of a coin: 2 * (1 + 6) / 64
    assert found.p == pytest.approx(14 / 64)
    assert mcnemar(one, one).p == 1
    thrice = side([[1, 1, 1, 1, 1, 0]] * 3, seeds=3)
    assert mcnemar(thrice, other) == found
    torn = side([[1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], seeds=2)
    half = side([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], seeds=2)
    assert (mcnemar(torn, half).first_only, mcnemar(half, torn).p) == (1, 1)


def ratings(seed, noise, speakers=6, each=10):
    truth = np.random.default_rng(0).uniform(1, 7, size=speakers * each)
    wrong = np.random.default_rng(seed).normal(size=len(truth)) * noise
    return {
        "id": [f"u{i}" for i in range(len(truth))],
        "speaker": [f"s{i % speakers}" for i in range(len(truth))],
        "reference(x)": [repr(v) for v in truth.tolist()],
        "predicted(x)": [repr(v) for v in (truth + wrong).tolist()],
    }


@pytest.mark.parametrize("score", ["mae", "ccc"])
def test_ratings_swap_all_ways_of_whole_speakers(score):
    one, other = ratings(1, 1.0), ratings(2, 1.2)
    truth = np.array(one["reference(x)"], dtype=float)
    mine, theirs = (
        np.array(x["predicted(x)"], dtype=float) for x in (one, other)
    )
    targets = RatingTargets({"x": (1, 7)})

    def difference(a, b):
        first, second = (
            targets.scores(truth[:, None], x[:, None])[score] for x in (a, b)
        )
        return second - first if score == "mae" else first - second

    observed = difference(mine, theirs)
    voices = np.array(one["speaker"])
    names = sorted(set(voices))
    extreme = 0
    for flips in itertools.product([False, True], repeat=len(names)):
        swapped = np.isin(voices, [n for n, f in zip(names, flips) if f])  # noqa: B905
        found = difference(
            np.where(swapped, theirs, mine), np.where(swapped, mine, theirs)
        )
        extreme += abs(found) >= abs(observed) - 1e-9
    found = paired_rating_difference(one, other, {"x": (1, 7)}, score)
    assert found.difference == pytest.approx(observed)
    assert found.p == pytest.approx(extreme / 2 ** len(names))
    again = {name: values * 3 for name, values in one.items()}
    seeds = paired_rating_difference(again, other, {"x": (1, 7)}, score)
    assert seeds.p == pytest.approx(found.p)


def test_a_computed_constant_says_the_most_frequent_class(tmp_path):
    write_run(tmp_path / "a", "mine", [(0, 1), (0, 0)])
    constant, prior, mine = with_floors(
        read_rows([tmp_path / "a/results.json"])
    )
    assert set(predictions_of(constant)["predicted"]) == {"x"}
    assert predictions_of(prior) is None
    assert predictions_of(mine)["predicted"] == ["x", "y", "x", "x"]
