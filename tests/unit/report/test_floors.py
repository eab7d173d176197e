"""Constant and prior of the labels, against scikit-learn and by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from speechbrain_e2v.cli import main
from speechbrain_e2v.report.comparisons import comparisons
from speechbrain_e2v.report.floors import with_floors
from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.rows import find_results, read_rows
from tests.unit.report.made_up_runs import write_run

OLDER = Path(__file__).with_name("results_of_format_1")


def labels_of(folder):
    with open(folder / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(r["fold"], r["reference"]) for r in rows]


def test_constant_is_scikit_learns_of_the_same_guess():
    rows = with_floors(read_rows(find_results([OLDER / "emodb_mfcc"])))
    constant, prior, mfcc = rows
    assert (constant.features, prior.features) == ("constant", "prior")
    assert mfcc.features == "MFCC statistics" and constant.predictor
    tested = labels_of(OLDER / "emodb_mfcc")
    truth = [label for _, label in tested]
    guess = [max(sorted(set(truth)), key=truth.count)] * len(truth)
    pooled = constant.pooled
    assert pooled["wa"] == pytest.approx(100 * accuracy_score(truth, guess))
    assert pooled["ua"] == pytest.approx(100 / 7)
    assert pooled["ua"] == pytest.approx(
        100 * recall_score(truth, guess, average="macro", zero_division=0)
    )
    assert pooled["wf1"] == pytest.approx(
        100 * f1_score(truth, guess, average="weighted", zero_division=0)
    )
    folds = {name: [t for f, t in tested if f == name] for name, _ in tested}
    each = [100 * part.count(guess[0]) / len(part) for part in folds.values()]
    assert constant.headline["wa"] == pytest.approx(np.mean(each))
    assert constant.fold_spread["wa"].max == pytest.approx(max(each))


def test_prior_is_what_many_draws_give():
    rows = with_floors(read_rows(find_results([OLDER / "emodb_mfcc"])))
    truth = np.array([label for _, label in labels_of(OLDER / "emodb_mfcc")])
    generator = np.random.default_rng(0)
    drawn = [generator.permutation(truth) for _ in range(300)]
    wa = 100 * np.mean([accuracy_score(truth, guess) for guess in drawn])
    ua = 100 * np.mean(
        [recall_score(truth, guess, average="macro") for guess in drawn]
    )
    assert rows[1].pooled["wa"] == pytest.approx(wa, abs=0.5)
    assert rows[1].pooled["ua"] == pytest.approx(ua, abs=0.5)


def test_a_regression_has_the_mean_rating():
    rows = with_floors(read_rows(find_results([OLDER / "regression"])))
    constant, _ = rows
    with open(OLDER / "regression" / "predictions.csv", newline="") as file:
        listed = list(csv.DictReader(file))
    first = [r for r in listed if r["seed"] == listed[0]["seed"]]
    arousal = np.array([float(r["reference(arousal)"]) for r in first])
    expected = np.abs(arousal - arousal.mean()).mean()
    assert constant.features == "constant"
    assert constant.pooled["mae_arousal"] == pytest.approx(expected)
    assert constant.pooled["ccc_arousal"] == 0


def test_a_conversations_floor_is_pooled():
    rows = with_floors(read_rows(find_results([OLDER / "conversation"])))
    assert rows[0].features == "constant"
    assert rows[0].headline == rows[0].pooled
    assert rows[0].pooled["ua"] == 25


def test_runs_of_floors_stay_alone(tmp_path):
    write_run(tmp_path / "a", "mine", [(0, 1), (0, 0)])
    write_run(
        tmp_path / "b", "nothing", [(0, 0), (0, 0)],
        classifier="most frequent class of training",
    )  # fmt: skip
    rows = with_floors(read_rows(find_results([tmp_path])))
    assert [(r.features, r.computed) for r in rows] == [
        ("constant", False), ("prior", True), ("mine", False),
    ]  # fmt: skip
    assert [row[2] for row in comparisons(rows).rows] == ["mine - constant"]


def test_the_page_says_so_and_can_do_without(tmp_path, capsys):
    write_run(tmp_path, "mine", [(0, 1), (0, 0)])
    assert main(["table", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert "| constant | prior | mine |" in page
    assert "labels that are tested" in page
    assert (
        "No run of MFCC statistics, the best floor, is given of: EmoDB" in page
    )
    assert main(["table", str(tmp_path), "--no_floors"]) == 0
    page = capsys.readouterr().out
    assert "constant" not in page and "MFCC statistics" not in page


def test_without_predictions_there_is_nothing_to_compute(tmp_path):
    write_run(tmp_path, "mine", [(0, 1), (0, 0)])
    (tmp_path / "predictions.csv").unlink()
    (row,) = with_floors(read_rows(find_results([tmp_path])))
    assert "| mine |" in results_page([row])
