"""Summaries against direct computation; files that explain themselves."""

import csv
import json

import numpy as np
import pytest

from speechbrain_e2v.downstream.classification.confusion import plot_confusion
from speechbrain_e2v.downstream.classification.targets import ClassTargets
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
