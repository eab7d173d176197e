"""Scores apart by a column, against the same runs cut by hand."""

import pytest

from speechbrain_e2v.corpora.manifest import write_manifest
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.report.breakdown import breakdown
from speechbrain_e2v.report.rows import find_results, read_rows
from speechbrain_e2v.tools.table import add_arguments, run
from tests.unit.report.made_up_runs import write_run


def utterance(name, gender, **extra):
    return Utterance(
        name, f"{name}.wav", gender=gender, spk=name[0], duration=1.0,
        num_samples=16000, sample_rate=16000, channels=1, extra=extra,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = write_run(tmp_path / "run", "mine", [(0, 1), (1, 1)])
    (folder / "manifest").mkdir()
    rows = [
        utterance("a1", "F", age="30"), utterance("a2", "F", age="30"),
        utterance("b1", "M", age="60"), utterance("b2", "M"),
    ]  # fmt: skip
    write_manifest(folder / "manifest" / "all.json", rows, tmp_path)
    return folder


def test_by_gender(folder):
    table = breakdown(read_rows(find_results([folder])), "gender")
    assert [row[3:9] for row in table.rows] == [
        ("F", "2", "1", "2", "100.00", "100.00"),
        ("M", "2", "1", "2", "50.00", "50.00"),
    ]


def test_what_a_corpus_keeps_besides_and_what_has_no_value(folder):
    table = breakdown(read_rows(find_results([folder])), "age")
    assert [(row[3], row[7]) for row in table.rows] == [
        ("-", "100.00"), ("30", "100.00"), ("60", "0.00"),
    ]  # fmt: skip


def test_unknown_column_names_those_there_are(folder):
    rows = read_rows(find_results([folder]))
    with pytest.raises(ValueError, match="no run has a column mood; there are"):
        breakdown(rows, "mood")


def test_command_writes_it(folder, tmp_path):
    from argparse import ArgumentParser

    parser = ArgumentParser()
    add_arguments(parser)
    path = tmp_path / "by.csv"
    arguments = [str(folder), "--by", "gender", "-o", str(path)]
    assert run(parser.parse_args(arguments)) == 0
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("corpus,protocol,features,gender,utterances")
    # The constant, computed of the labels, is cut by the same column.
    assert len(lines) == 1 + 2 * 2
