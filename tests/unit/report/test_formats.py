"""Text of others in tables: shown, never obeyed."""

import csv
import io

import pytest

from speechbrain_e2v.report.formats import Markdown, Table, single_line

HOSTILE = [
    '=HYPERLINK("http://x.y","z")',
    "+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "-1+2",
    "a\x1b]0;owned\x07b",
    "one\ntwo\r\n\n| three",
    "<script>alert(1)</script>",
    "[click](javascript:x)",
    "`code` *bold*",
    "&lt;img&gt;",
    "\u202eevil",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_markdown_is_one_cell_of_text(text):
    lines = Table(("a", "b"), ((text, "1.00"),)).markdown().split("\n")
    assert len(lines) == 3 and lines[2].isprintable()
    assert lines[2].replace(r"\|", "").count("|") == 3
    for sign in ("<", "[click](", "\\x1b]0;owned\x07", "| &lt;img"):
        assert sign not in lines[2]
    unescaped = lines[2].replace(r"\`", "").replace(r"\*", "")
    assert not set("`*") & set(unescaped)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_a_spreadsheet_is_no_formula(text):
    table = Table(("a", "b"), ((text, "1.00"),))
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert len(rows) == 2 and rows[1][1] == "1.00"
    assert rows[1][0].isprintable() and rows[1][0][0] not in "=+-@"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_latex_is_one_line(text):
    lines = Table(("a", "b"), ((text, "1.00"),)).latex().split("\n")
    (row,) = [line for line in lines if line.endswith(r"& 1.00 \\")]
    assert row.isprintable() and len(lines) == 8
    assert not set("<>") & set(row)
    assert row.replace(r"\&", "").count("&") == 1


def test_numbers_and_dashes_stay_what_they_are():
    table = Table(("a", "b", "c", "d"), (("-9.34", "+0.5", "-", ""),))
    assert table.csv().splitlines()[1] == "-9.34,+0.5,-,"
    assert table.markdown().endswith("| -9.34 | +0.5 | - |  |")
    cell = Table(("a",), (("71.21 [67.1, 75.3]",),)).markdown()
    assert cell.endswith("| 71.21 [67.1, 75.3] |")


def test_the_packages_own_markdown_is_kept():
    table = Table(("a",), ((Markdown("[EmoDB](EmoDB/README.md)"),),))
    assert table.markdown().endswith("| [EmoDB](EmoDB/README.md) |")


def test_one_line_keeps_letters_of_all_scripts():
    assert single_line("Ärger 怒り سعيد") == "Ärger 怒り سعيد"
