"""Cells: right, the same bytes again, gone on with after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest
from unit.downstream.cross_corpus.drawn import experiment

from speechbrain_e2v.cli import main
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.cross_corpus.conditions import conditions
from speechbrain_e2v.downstream.cross_corpus.plan import OTHERS, plan_cells
from speechbrain_e2v.downstream.cross_corpus.run import run_cells
from speechbrain_e2v.report.cross_corpus import cross_corpus_page, scores_table
from speechbrain_e2v.report.cross_corpus_plot import plot_heat_map
from speechbrain_e2v.report.formats import file_name

CONDITIONS = [
    *conditions(["training", "corpus"], ["kept"]),
    *conditions(["corpus"], ["removed"]),
]
OUTPUTS = ("results.json", "predictions.csv")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return experiment(tmp_path_factory.mktemp("features"))


def run(folder, given, chosen=CONDITIONS, shots=(2,)):
    found, classes, features = given
    cells = plan_cells(found, shots, 3, 1)
    return run_cells(
        Path(folder), found, classes, cells, [features], chosen, 1, file_name
    )


def outputs(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for name in OUTPUTS
        for path in Path(folder).rglob(name)
    }


@pytest.fixture(scope="module")
def scores(given, tmp_path_factory):
    return run(tmp_path_factory.mktemp("cells") / "cells", given)


def folder_of(scores):
    return scores[0].folder.parents[2]


def mean_ua(scores, condition, chosen):
    return np.mean(
        [
            s.results["pooled"]["ua"]
            for s in scores
            if s.condition.name == condition and chosen(s.cell)
        ]
    )


def test_scores_are_what_the_drawing_put_in(scores):
    """Another room harms; standardising each corpus or a few shots mend it."""

    def pairs(cell):
        return cell.train not in (cell.test, OTHERS) and not cell.shots

    within = mean_ua(
        scores, "training-kept", lambda cell: cell.train == cell.test
    )
    across = mean_ua(scores, "training-kept", pairs)
    mended = mean_ua(scores, "corpus-kept", pairs)
    shots = mean_ua(scores, "training-kept", lambda cell: cell.shots)
    assert within > 80 > 65 > across
    assert mended > across + 15
    assert shots > across + 15


def test_floors_intervals_and_marks(scores):
    for score in scores:
        results = score.results
        assert results["floors"]["constant"]["ua"] == pytest.approx(100 / 3)
        low, high = results["interval95"]["ua"]
        assert low - 1e-9 <= results["pooled"]["ua"] <= high + 1e-9
        heard = "the encoder heard A in pretraining"
        marks = results["protocol"]["marks"]
        assert (heard in marks) == (score.cell.test == "A")


def test_a_second_run_trains_nothing_and_changes_no_byte(
    scores, given, tmp_path, monkeypatch
):
    before = outputs(folder_of(scores))
    fresh = run(tmp_path / "cells", given, CONDITIONS[:1])
    found = outputs(tmp_path / "cells")
    assert found and found.items() <= before.items()
    pictures = [
        plot_heat_map(
            tmp_path / f"{i}.png",
            [s for s in made if s.condition == CONDITIONS[0]],
        ).read_bytes()
        for i, made in enumerate((scores, fresh))
    ]
    assert pictures[0] == pictures[1]

    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(LogisticTrainer, "fit", never)
    again = run(folder_of(scores), given)
    assert outputs(folder_of(scores)) == before
    classes = given[1]
    assert cross_corpus_page(again, classes) == cross_corpus_page(
        scores, classes
    )


def test_a_killed_run_goes_on(scores, given, tmp_path, monkeypatch):
    chosen = CONDITIONS[:1]
    expected = outputs(folder_of(scores))
    fit, trained = LogisticTrainer.fit, []

    def stops(self, *arguments):
        if len(trained) == 7:
            raise KeyboardInterrupt
        trained.append(arguments[2].name)
        return fit(self, *arguments)

    monkeypatch.setattr(LogisticTrainer, "fit", stops)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", given, chosen)
    trained.clear()

    def counts(self, *arguments):
        trained.append(arguments[2].name)
        return fit(self, *arguments)

    monkeypatch.setattr(LogisticTrainer, "fit", counts)
    found = run(tmp_path / "cut", given, chosen)
    assert len(trained) == sum(len(s.cell.folds) for s in found) - 7
    assert outputs(tmp_path / "cut").items() <= expected.items()


def test_the_page_and_the_table_say_the_same(scores, given):
    page = cross_corpus_page(scores, given[1])
    lines = scores_table(scores).csv().splitlines()
    assert len(lines) == 1 + len(scores)
    for score in scores:
        low, high = score.results["interval95"]["ua"]
        text = f"{score.results['pooled']['ua']:.2f} [{low:.1f}, {high:.1f}]"
        assert text in page
    assert "| A + 2 a class | - |" in page
    assert "speaker directions removed" in page and "| constant |" in page


def test_e2v_table_reads_the_cells(scores, capsys):
    assert main(["table", str(folder_of(scores)), "--metric", "ua"]) == 0
    table = capsys.readouterr().out
    assert "| A | from B + 2 a class |" in table
    assert (
        "within, speaker\\_kfold" in table or "within, speaker_kfold" in table
    )


def test_results_say_how(scores):
    (score,) = [
        s
        for s in scores
        if (s.cell.row, s.cell.test, s.condition.name)
        == (OTHERS, "B", "corpus-removed")
    ]
    kept = json.loads((score.folder / "results.json").read_text())
    assert kept["protocol"]["name"] == (
        "from all others, each corpus standardised, speaker directions removed"
    )
    assert "speaker_directions" in kept["classifier"]
    assert kept["n_predictions"] == 90
