"""Rows, tables and pages from made-up results."""

import csv
import io
import json

import pytest

from speechbrain_e2v.downstream.results import FORMAT
from speechbrain_e2v.report.caveats import caveat_letters
from speechbrain_e2v.report.comparisons import comparisons
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.rows import find_results, read_rows
from speechbrain_e2v.report.spreadsheets import details
from speechbrain_e2v.report.tables import Missing, overview
from tests.unit.report.made_up_runs import write_run


@pytest.fixture
def rows(tmp_path):
    write_run(tmp_path / "1", "mine", [(0, 1), (0, 0)], marks=("m1", "m2"))
    write_run(tmp_path / "2", "mfcc", [(0, 0), (0, 0)])
    write_run(tmp_path / "3", "random", [(1, 0), (0, 1)])
    write_run(tmp_path / "4", "mine", [(0, 1), (0, 1)], "aesdd", "own", ())
    return read_rows(find_results([tmp_path]))


def test_overview(rows):
    missing = [
        Missing("SAVEE", "random_kfold", None, "no data"),
        Missing("aesdd", "own", "MFCC statistics", "failed: a | b"),
    ]
    table = overview(rows, missing)
    assert table.header == (
        "corpus", "protocol", "score", "paper", "MFCC statistics",
        "random encoder", "mine", "ours - paper", "marks",
    )  # fmt: skip
    assert table.rows == (
        ("aesdd", "own", "WA", "-", "failed: a | b", "-",
         "100.00 (pooled 100.00 [100.0, 100.0])", "-", "-"),
        ("EmoDB", "random_kfold", "WA", "84.34",
         "50.00 (pooled 50.00 [50.0, 50.0])",
         "50.00 (pooled 50.00 [0.0, 100.0])",
         "75.00 (pooled 75.00 [50.0, 100.0])", "-9.34", "a b"),
        ("SAVEE", "random_kfold", "WA", "84.38", "no data", "no data",
         "no data", "-", "-"),
    )  # fmt: skip
    assert "failed: a \\| b" in table.markdown()


def test_the_paper_is_compared_with_the_mean_over_folds(tmp_path):
    """WF1 of 100 and 33.33 in the folds; 73.33 of all predictions."""
    write_run(tmp_path, "mine", [(0, 1), (0, 0)])
    (row,) = read_rows([tmp_path / "results.json"])
    assert row.averaged == "mean over folds"
    assert row.headline["wf1"] == pytest.approx(200 / 3)
    assert row.pooled["wf1"] == pytest.approx(220 / 3)
    assert row.difference("wf1") == pytest.approx(200 / 3 - 84.32)
    (line,) = overview([row], metric="wf1").rows
    assert line[4].startswith("66.67 (pooled 73.33 [")
    # a file of before that, and one of a conversation, which is pooled
    path = tmp_path / "results.json"
    results = json.loads(path.read_text())
    del results["headline"]
    path.write_text(json.dumps(results))
    (older,) = read_rows([path])
    assert older.headline == pytest.approx(row.headline)
    path.write_text(json.dumps({**results, "conversation": {}}))
    (conversation,) = read_rows([path])
    assert conversation.headline == row.pooled
    (line,) = overview([conversation], metric="wf1").rows
    assert line[4].startswith("73.33 [")


def test_another_score(rows):
    first = overview(rows, metric="ua").rows[1]
    assert first[2:4] == ("UA", "84.85")


def test_marks_are_explained(rows, tmp_path):
    marks = caveat_letters(rows)
    page = results_page(rows)
    for mark, letter in marks.items():
        assert f"* {letter}: {mark}\n" in page
    many = [f"mark {i}" for i in range(30)]
    write_run(tmp_path / "m", "mfcc", [(0, 0), (0, 0)], marks=many)
    letters = caveat_letters(read_rows([tmp_path / "m" / "results.json"]))
    assert len(set(letters.values())) == 30
    assert letters["mark 26"] == "aa"


def test_details_have_every_score(rows):
    lines = list(csv.DictReader(io.StringIO(details(rows).csv())))
    mine = next(
        line for line in lines
        if (line["corpus"], line["features"]) == ("EmoDB", "mine")
    )  # fmt: skip
    assert mine["wa"] == "75.00" and mine["wa_minus_paper"] == "-9.34"
    assert (mine["wa_fold_mean"], mine["wa_fold_sd"]) == ("75.00", "35.36")
    assert (mine["wa_low95"], mine["wa_high95"]) == ("50.00", "100.00")
    assert mine["marks"] == "m1; m2" and mine["folds"] == "2"
    mfcc = next(line for line in lines if line["features"].startswith("MFCC"))
    assert mfcc["wa_minus_paper"] == "", "a baseline is not the paper's model"


def test_every_pair_is_compared(rows):
    table = comparisons(rows)
    assert [row[2] for row in table.rows] == [
        "random encoder - MFCC statistics",
        "mine - MFCC statistics",
        "mine - random encoder",
    ]
    assert table.rows[1][3] == "WA +25.00"
    assert table.rows[1][5] == "1.0000"  # two speakers prove nothing


def test_two_runs_of_one_name_get_their_folders(tmp_path):
    write_run(tmp_path / "one", "mine", [(0, 1), (0, 0)])
    write_run(tmp_path / "two", "mine", [(0, 1), (0, 1)])
    rows = read_rows(find_results([tmp_path]))
    assert [r.features for r in rows] == ["mine (one)", "mine (two)"]
    assert overview(rows).rows[0][-2] == "-9.34 / +15.66"


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match="no results.json"):
        find_results([tmp_path])
    path = tmp_path / "results.json"
    for text in ("{", json.dumps({"format": FORMAT}), '{"format": 99}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="results.json: .*run the recipe"):
            read_rows([path])


def test_latex_is_escaped():
    table = Table(("a_b", "100 %"), (("[1] & {x}", "\\"), ("~", "^")))
    lines = table.latex().splitlines()
    assert lines[2] == r"a\_b & 100 \% \\"
    assert lines[4] == r"{}[1] \& \{x\} & \textbackslash{} \\"
    assert lines[5] == r"\textasciitilde{} & \textasciicircum{} \\"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 headings"):
        Table(("a", "b"), (("1",),))
