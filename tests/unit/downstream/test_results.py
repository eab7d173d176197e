"""Summaries against direct computation; files that explain themselves."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import recall_score

from speechbrain_e2v.downstream.classification.confusion import plot_confusion
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.regression.targets import RatingTargets
from speechbrain_e2v.downstream.results import (
    POOLED,
    score_table,
    summarise,
    write_predictions,
    write_results,
)
from speechbrain_e2v.metrics import all_scores

CLASSES = ("ang", "hap", "sad")
TARGETS = ClassTargets(CLASSES)
SPEAKERS = {f"u{i:02d}": f"s{i % 4}" for i in range(40)}


def runs(seeds=(1, 2)):
    generator = np.random.default_rng(0)
    reference = {name: int(generator.integers(3)) for name in SPEAKERS}
    found = []
    for seed in seeds:
        for fold in range(4):
            test = [n for n in SPEAKERS if SPEAKERS[n] == f"s{fold}"]
            posteriors = generator.dirichlet(np.ones(3), size=len(test))
            found.append(
                {
                    "fold": f"speaker s{fold}",
                    "seed": seed,
                    "test": test,
                    "reference": [reference[name] for name in test],
                    "predicted": posteriors.argmax(1).tolist(),
                    "posteriors": posteriors.tolist(),
                }
            )
    return found


def test_pooled_is_of_all_folds_of_a_seed_averaged_over_seeds():
    both = runs()
    results = summarise(both, TARGETS, SPEAKERS)
    seeds = []
    for seed in (1, 2):
        reference, predicted = [], []
        for run in both:
            if run["seed"] == seed:
                reference += run["reference"]
                predicted += run["predicted"]
        seeds.append(all_scores(reference, predicted))
    for name in ("wa", "ua", "wf1", "macro_f1"):
        values = [s[name] for s in seeds]
        assert results["pooled"][name] == pytest.approx(np.mean(values))
        assert results["seed_spread"][name]["max"] == pytest.approx(max(values))
    folds = [all_scores(r["reference"], r["predicted"])["ua"] for r in both]
    assert results["fold_spread"]["ua"]["mean"] == pytest.approx(np.mean(folds))


def test_counts_are_of_one_seed_and_the_confusion_of_all():
    results = summarise(runs(), TARGETS, SPEAKERS)
    assert sum(results["counts"].values()) == 40
    assert np.sum(results["confusion"]) == results["n_predictions"] == 80
    low, high = results["interval95"]["wa"]
    assert low < results["pooled"]["wa"] < high


def test_classes_speakers_and_calibration_are_scikit_learns():
    both = runs()
    results = summarise(both, TARGETS, SPEAKERS)
    reference, predicted, sure, voices = [], [], [], []
    for run in both:
        reference += run["reference"]
        predicted += run["predicted"]
        sure += [max(row) for row in run["posteriors"]]
        voices += [SPEAKERS[name] for name in run["test"]]
    expected = recall_score(reference, predicted, average=None)
    assert list(results["recall"]) == list(CLASSES)
    assert list(results["recall"].values()) == pytest.approx(100 * expected)
    each = [
        all_scores(*(
            [v for v, voice in zip(values, voices, strict=True) if voice == who]
            for values in (reference, predicted)
        ))
        for who in sorted(set(voices))
    ]  # fmt: skip
    spread = results["speaker_spread"]
    assert spread["speakers"] == 4
    for name in ("wa", "ua", "wf1", "macro_f1"):
        values = [scores[name] for scores in each]
        assert spread["scores"][name]["mean"] == pytest.approx(np.mean(values))
        assert spread["scores"][name]["min"] == pytest.approx(min(values))
    right = np.equal(reference, predicted)
    error = 0.0
    for k in range(15):  # bins of equal width, each open below
        here = [k / 15 < p <= (k + 1) / 15 for p in sure]
        if any(here):
            error += abs(np.sum(np.subtract(sure, right)[here])) / len(right)
    found = results["calibration"]
    assert found["ece"] == pytest.approx(100 * error)
    assert found["confidence"] == pytest.approx(100 * np.mean(sure))
    assert found["wa"] == pytest.approx(100 * np.mean(right))
    table = score_table(results, TARGETS)
    assert f"ECE {found['ece']:.1f} % over 15 bins" in table
    assert f"recall: ang {100 * expected[0]:.1f}  hap" in table
    assert "4 speakers: WA " in table


def test_unknown_speakers_and_probabilities_are_left_out():
    some = [{k: v for k, v in run.items() if k != "posteriors"}
            for run in runs()]  # fmt: skip
    results = summarise(some, TARGETS, {})
    assert results["speaker_spread"] is None
    assert "calibration" not in results
    assert "speakers" not in score_table(results, TARGETS).splitlines()[-1]


def test_errors_of_each_speaker_of_a_regression():
    targets = RatingTargets({"x": (1, 5), "y": (1, 5)})
    found = targets.speaker_scores(
        [[1, 1], [2, 2], [3, 3]], [[1, 2], [3, 2], [3, 5]], ["a", "b", "a"]
    )
    assert found == {"mae": [0.75, 0.5], "mae_x": [0, 1], "mae_y": [1.5, 0]}


def test_the_headline_is_one_of_two_ways_to_average():
    both = runs()
    folds = [all_scores(r["reference"], r["predicted"])["ua"] for r in both]
    found = summarise(both, TARGETS, SPEAKERS)
    assert found["headline"]["is"] == "mean over folds"
    assert found["headline"]["scores"]["ua"] == pytest.approx(np.mean(folds))
    pooled = summarise(both, TARGETS, SPEAKERS, POOLED)
    assert pooled["headline"] == {"is": POOLED, "scores": pooled["pooled"]}
    assert found["headline"]["scores"]["ua"] != pooled["pooled"]["ua"]
    assert {**found, "headline": 0} == {**pooled, "headline": 0}


def test_files_are_complete(tmp_path):
    both = runs()
    results = summarise(both, TARGETS, SPEAKERS)
    path = write_results(tmp_path / "results.json", results)
    assert json.loads(path.read_text()) == results
    path = write_predictions(
        tmp_path / "predictions.csv", both, TARGETS, SPEAKERS
    )
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    for row in rows:
        probabilities = [float(row[f"p({name})"]) for name in CLASSES]
        assert row["predicted"] == CLASSES[int(np.argmax(probabilities))]
        assert row["speaker"] == SPEAKERS[row["id"]]


def test_table_has_every_score_and_the_spread():
    results = summarise(runs(), TARGETS, SPEAKERS)
    table = score_table(results, TARGETS)
    for name in ("WA", "UA", "WF1"):
        (line,) = [x for x in table.splitlines() if x.startswith(f"{name} ")]
        assert f"{results['pooled'][name.lower()]:.2f}" in line
        assert f"{results['fold_spread'][name.lower()]['sd']:.2f}" in line


def test_picture_replaces_the_old_one(tmp_path):
    path = tmp_path / "c.png"
    path.write_bytes(b"old")
    plot_confusion(path, np.eye(3, dtype=int), CLASSES, "title")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["c.png"]
