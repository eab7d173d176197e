"""The shipped numbers against the list they were taken from."""

import csv

import pytest

from speechbrain_e2v.dataio.protocols import PROTOCOLS
from speechbrain_e2v.reporting.paper import paper_row, paper_rows


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
