"""Results that version 0.1.0 wrote: what it said of them is still said."""

import csv
import io
from pathlib import Path

import pytest

from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.rows import find_results, read_rows
from speechbrain_e2v.report.spreadsheets import details, rating_details

FOLDER = Path(__file__).with_name("results_of_format_1")


@pytest.fixture(scope="module")
def rows():
    return read_rows(find_results([FOLDER]))


def lines(table):
    return list(csv.DictReader(io.StringIO(table.csv())))


def test_every_task_is_read(rows):
    assert [(row.corpus, row.features, bool(row.scales)) for row in rows] == [
        ("CMU-MOSI", "encoder", True),
        ("EmoDB", "MFCC statistics", False),
        ("EmoDB", "encoder", False),
        ("IEMOCAP conversation, speech", "encoder", False),
        ("MSP-Podcast", "encoder", True),
    ]


def test_scores_and_caveats(rows):
    by_name = {row.folder.name: row for row in rows}
    mfcc, encoder = by_name["emodb_mfcc"], by_name["emodb_encoder"]
    (line,) = lines(details([mfcc]))
    assert (line["wa"], line["ua"]) == ("71.21", "69.36")
    assert line["wa_fold_mean"] == "71.42" and line["folds"] == "10"
    assert mfcc.caveats == ("no test speaker occurs in training",)
    assert encoder.caveats[1:] == (
        "by logistic regression, not by the paper's probe",
    )
    conversation = by_name["conversation"]
    assert conversation.paper.scores == {"ua": 77.19, "macro_f1": 76.71}
    assert (conversation.folds, conversation.seeds) == (6, 2)
    rated = {
        line["score"]: line for line in lines(rating_details(rows))
        if line["corpus"] == "CMU-MOSI"
    }  # fmt: skip
    assert rated["mae_sentiment"]["value"] == "3.1431"


def test_training_data_of_an_official_split_are_not_missed(rows):
    text = (FOLDER / "sentiment" / "results.json").read_text()
    assert "4 of 5 utterances are never tested" in text
    assert "never tested" not in results_page(rows)


def test_predictions_are_compared(rows):
    page = results_page(rows)
    line = next(x for x in page.splitlines() if "encoder - MFCC" in x)
    assert line.endswith("| WA -12.15 | -20.7 to -4.1 | 0.0176 | 0.0176 | 10 |")
