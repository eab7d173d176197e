"""The shipped numbers against the list they were taken from."""

import csv

import pytest

from speechbrain_e2v.corpora.protocols import PROTOCOLS
from speechbrain_e2v.report.paper import (
    conversation_rows,
    paper_row,
    paper_rows,
)


def test_every_number_of_the_list_is_there(shared_folder):
    path = shared_folder / "spec" / "paper_results.csv"
    if not path.is_file():
        pytest.skip("no ../shared/spec/paper_results.csv")
    with open(path, newline="", encoding="utf-8") as file:
        listed = [
            (int(row["table"]), row["metric"].lower(), float(row["value"]))
            for row in csv.DictReader(file)
            if row["model"] == "emotion2vec"
            and row["table"] in ("2", "3", "4", "5", "7")
            and row["metric"] in ("WA", "UA", "WF1")
        ]
    shipped = [
        (row.table, metric, value)
        for row in paper_rows()
        for metric, value in row.scores.items()
    ]
    assert sorted(listed) == sorted(shipped)


@pytest.mark.parametrize(
    ("corpus", "protocol", "scores"),
    [
        ("EmoDB", "random_kfold", {"wa": 84.34, "ua": 84.85, "wf1": 84.32}),
        ("IEMOCAP", "leave_one_session_out", {"wa": 71.79}),
        ("IEMOCAP", "leave_one_session_out_test_validates", {"wa": 74.48}),
        ("CMU-MOSEI", "official", {"wf1": 76.56}),
    ],
)
def test_numbers_stand_with_their_protocol(corpus, protocol, scores):
    assert paper_row(corpus, protocol).scores == scores


def test_names_exist(repository):
    for row in paper_rows():
        assert (repository / "recipes" / row.corpus / "train.py").is_file()
        assert row.protocol in PROTOCOLS


def test_every_number_of_table_6_is_there(shared_folder):
    path = shared_folder / "spec" / "paper_results.csv"
    if not path.is_file():
        pytest.skip("no ../shared/spec/paper_results.csv")
    names = {"UAR": "ua", "MacroF1": "macro_f1"}
    with open(path, newline="", encoding="utf-8") as file:
        listed = [
            (
                row["model"],
                row["setting"].partition(";")[0].removeprefix("modality="),
                names[row["metric"]],
                float(row["value"]),
            )
            for row in csv.DictReader(file)
            if row["table"] == "6"
        ]
    shipped = [
        (row.model, row.corpus.partition(", ")[2], metric, value)
        for row in conversation_rows()
        for metric, value in row.scores.items()
    ]
    assert [(a, b.lower(), c, d) for a, b, c, d in listed] == shipped
    assert len(shipped) == 22


def test_a_conversation_has_a_row_of_its_own():
    protocol = "leave_one_speaker_out_partner_validates"
    assert paper_row("IEMOCAP", protocol).scores == {"wa": 72.94}
    both = paper_row("IEMOCAP conversation, speech+text", protocol)
    assert both.scores == {"ua": 81.68, "macro_f1": 80.75}
    assert paper_row("IEMOCAP conversation, text", protocol) is None
    assert paper_row("MELD conversation, speech", "official") is None


@pytest.mark.parametrize("corpus", ["IEMOCAP", "MELD"])
def test_table_6_of_the_readmes(corpus, repository):
    text = (repository / "recipes" / corpus / "README.md").read_text("utf-8")
    lines = text[text.index("| Table 6 of the paper") :].split("\n\n")[0]
    table = {
        cells[0]: dict(
            zip(("speech", "text", "speech+text"), cells[1:4], strict=True)
        )
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines.splitlines()[2:]
        )
    }
    printed = {
        (row.model, row.corpus.partition(", ")[2]): (
            f"{row.scores['ua']:.2f} / {row.scores['macro_f1']:.2f}"
        )
        for row in conversation_rows()
    }
    shown = {
        (model, modality): cell
        for model, cells in table.items()
        for modality, cell in cells.items()
        if " / " in cell
    }
    assert shown == printed
