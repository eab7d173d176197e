"""Tables of regressions, alone and beside classifications."""

import csv
import io
import json
from pathlib import Path

import pytest

from speechbrain_e2v.cli import main
from speechbrain_e2v.downstream.regression.targets import RatingTargets
from speechbrain_e2v.downstream.results import (
    FORMAT,
    summarise,
    write_predictions,
    write_results,
)
from speechbrain_e2v.report.caveats import caveat_letters
from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.recipe_index import recipe_index
from speechbrain_e2v.report.rows import find_results, read_rows
from speechbrain_e2v.report.spreadsheets import rating_details
from speechbrain_e2v.report.tables import polarity_overview, rating_overview
from tests.unit.report.made_up_runs import UPSTREAMS, write_run

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
SPEAKERS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}


def write_regression(folder, upstream, corpus, scales, values, marks=("m1",)):
    reference, predicted = values
    run = {
        "fold": "official",
        "seed": 1,
        "test": list(SPEAKERS),
        "reference": reference,
        "predicted": predicted,
    }
    results = {
        "format": FORMAT,
        "corpus": corpus,
        "protocol": {"name": "official", "n_folds": 1, "marks": list(marks)},
        "seeds": [1],
        "scales": scales,
        "upstream": UPSTREAMS[upstream],
        "regressor": {
            "kind": "regression probe",
            "head": {"name": "LinearHead"},
            "objective": "ccc",
        },
        **summarise([run], RatingTargets(scales), SPEAKERS),
    }
    folder.mkdir(parents=True)
    write_predictions(
        folder / "predictions.csv", [run], RatingTargets(scales), SPEAKERS
    )
    write_results(folder / "results.json", results)


AVD = {"arousal": [1, 7], "valence": [1, 7]}
VALUES = (
    [[1.0, 2.0], [2.0, 2.0], [3.0, 5.0], [4.0, 5.0]],
    [[1.0, 3.0], [2.0, 3.0], [3.0, 3.0], [4.0, 3.0]],
)
SENTIMENT = ([[-1.0], [0.0], [2.0], [1.0]], [[-2.0], [0.0], [2.0], [-1.0]])


@pytest.fixture
def folder(tmp_path):
    write_regression(tmp_path / "1", "mine", "MSP-Podcast", AVD, VALUES)
    write_regression(
        tmp_path / "2", "mfcc", "MSP-Podcast", AVD, VALUES, ("m1", "m3")
    )
    write_regression(
        tmp_path / "3", "mine", "CMU-MOSI", {"sentiment": [-3, 3]}, SENTIMENT
    )
    return tmp_path


@pytest.fixture
def ratings(folder):
    return read_rows(find_results([folder]))


def test_overview(ratings):
    letters = caveat_letters(ratings)
    table = rating_overview(ratings, letters)
    probe = "regression probe (LinearHead, ccc)"
    perfect = "1.000 [1.000, 1.000]"
    assert table.rows[1] == (
        "MSP-Podcast", "official", "MFCC statistics", probe, "arousal",
        perfect, perfect, "0.000 [0.000, 0.000]", "4 (1 x 1)", "-", "a b",
    )  # fmt: skip
    assert [row[4] for row in table.rows] == [
        "sentiment", "arousal", "valence", "arousal", "valence",
    ]  # fmt: skip
    # a constant prediction: no correlation, an error all the same
    assert table.rows[4][5] == "0.000 [0.000, 0.000]"
    assert table.rows[4][7] == "1.500 [1.000, 2.000]"


def test_sentiment_stands_beside_the_papers_classifier(ratings):
    (row,) = polarity_overview(ratings).rows
    assert row[0] == "CMU-MOSI" and row[-1] == "69.16"
    assert row[4].startswith("75.00 [") and row[6].startswith("66.67 [")
    assert row[8].startswith("50.00 [")


def test_details_have_every_score(ratings):
    lines = list(csv.DictReader(io.StringIO(rating_details(ratings).csv())))
    found = {
        (line["corpus"], line["features"], line["score"]): line
        for line in lines
    }
    assert len(found) == len(lines) == 2 * 9 + 11
    line = found["MSP-Podcast", "mine", "mae_valence"]
    assert (line["value"], line["low95"]) == ("1.5000", "1.0000")
    assert line["marks"] == "m1"


def test_page_beside_a_classification(folder, capsys):
    write_run(folder / "4", "mine", [(0, 1), (0, 0)], marks=("m2", "m1"))
    assert main(["table", str(folder)]) == 0
    page = capsys.readouterr().out
    first, second = page.split("## Regression")
    assert "| EmoDB | random_kfold | WA | 84.34 |" in first
    assert "MSP-Podcast" not in first.split("Marks:")[0]
    assert "* a: m2\n* b: m1\n* c: m3" in first
    assert "| 4 (1 x 1) | - | b c |" in second
    assert "EmoDB" not in second.partition("## Against the floors")[0]


def test_page_of_regressions_alone(ratings):
    page = results_page(ratings)
    assert "## Regression" in page and "84.34" not in page
    assert "speakers are\ndrawn again" in page


def test_files(folder, tmp_path):
    out = [tmp_path / f"t.{suffix}" for suffix in ("md", "csv", "tex")]
    main(["table", str(folder), "--no_floors", "-o", *map(str, out)])
    assert "## Regression" in out[0].read_text()
    assert out[1].read_text().startswith("corpus,protocol,features,regressor")
    assert out[2].read_text().count(r"\begin{tabular}") == 1
    write_run(folder / "4", "mine", [(0, 1), (0, 0)])
    main(["table", str(folder), "--no_floors", "-o", *map(str, out)])
    assert "wa_paper" in out[1].read_text()
    beside = tmp_path / "t.regression.csv"
    assert beside.read_text().count("\n") == 1 + 2 * 9 + 11
    assert out[2].read_text().count(r"\begin{tabular}") == 2


def test_index(ratings):
    lines = recipe_index(RECIPES, ratings).rows
    mine = {r[0].split("]")[0][1:]: r for r in lines if r[1] == "regression"}
    assert set(mine) == {"IEMOCAP", "MSP-Podcast", "CMU-MOSI", "CMU-MOSEI"}
    assert mine["IEMOCAP"][4] == "no data here"
    cell = mine["MSP-Podcast"][4]
    assert "mine, regression probe (LinearHead, ccc): CCC arousal 1.000" in cell
    assert mine["MSP-Podcast"][5] == "a b"
    assert "hparams/regression.yaml" in mine["MSP-Podcast"][6]


def test_bad_files(tmp_path):
    path = tmp_path / "results.json"
    for text in ("{", "3"):
        path.write_text(text)
        with pytest.raises(ValueError, match="results.json: .*run the recipe"):
            read_rows([path])
    path.write_text(json.dumps({"format": FORMAT, "regressor": {}}))
    with pytest.raises(ValueError, match="results.json: .*run the recipe"):
        read_rows([path])
