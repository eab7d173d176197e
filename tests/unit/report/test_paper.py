"""The shipped numbers against the list they were taken from."""

import csv
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

import pytest

from speechbrain_e2v.corpora.protocols import PROTOCOLS
from speechbrain_e2v.downstream.provenance import heard_caveats
from speechbrain_e2v.published.known_checkpoints import (
    card_of,
    known_checkpoint,
)
from speechbrain_e2v.report import paper
from speechbrain_e2v.report.paper import (
    RESD_PAGE,
    all_rows,
    conversation_rows,
    paper_row,
)
from speechbrain_e2v.tools.evaluate import add_arguments

PAPER = Path(paper.__file__).with_name("paper.csv")
METRICS = {
    "UAR": "ua",
    "MacroF1": "macro_f1",
    "upstream_params_M": "upstream_millions",
    "downstream_params_M": "downstream_millions",
}


def test_counts_of_the_tables():
    numbers = Counter()
    for row in all_rows():
        numbers[row.table] += len(row.scores) + len(row.millions)
    assert numbers == {
        "2": 57, "3": 45, "4": 135, "5": 26, "6": 22, "7": 12, "8": 9,
        "9": 15, "10": 9, "11": 12, RESD_PAGE: 9,
    }  # fmt: skip
    assert sum(numbers.values()) == 342 + 9


def test_every_number_of_the_list_is_there(shared_folder):
    path = shared_folder / "spec" / "paper_results.csv"
    if not path.is_file():
        pytest.skip("no ../shared/spec/paper_results.csv")
    with open(path, newline="", encoding="utf-8") as file:
        listed = [
            (
                row["model"].replace("+base", "+ base").replace("+l", "+ l"),
                METRICS.get(row["metric"], row["metric"].lower()),
                row["value"],
            )
            for row in csv.DictReader(file)
        ]
    with open(PAPER, newline="", encoding="utf-8") as file:
        shipped = [
            (row["model"], row["metric"], row["value"])
            for row in csv.DictReader(file)
        ]
    assert listed == shipped


@pytest.mark.parametrize(
    ("table", "model", "note"),
    [
        ("2", "TIM-Net", "megabytes"),
        ("2", "MSTR", "WA 70.60"),
        ("2", "vq-wav2vec", "L3-900"),
        ("2", "Vesper-12", "LSED is LSSED"),
        ("6", "Shi et al. (2020)", "74.96"),
        ("6", "Noroozi et al. (2017)", "Shahriar and Kim (2019)"),
        ("11", "emotion2vec", "another run"),
    ],
)
def test_what_is_known_of_misprints(table, model, note):
    notes = [
        text
        for row in all_rows()
        if (row.table, row.model) == (table, model)
        for text in row.notes
    ]
    assert any(note in text for text in notes)


def test_rows_of_others_say_whose_and_of_which_layer():
    table_2 = {row.model: row for row in all_rows() if row.table == "2"}
    superb = table_2["HuBERT base"]
    assert (superb.upstream, superb.features) == ("hubert-base", "weighted")
    assert superb.source == "SUPERB"
    assert superb.millions == {"upstream": 94.68, "downstream": 0.20}
    assert {
        (row.model, row.setting): row.upstream
        for row in all_rows()
        if row.table == "7" and row.model == "WavLM"
    } == {
        ("WavLM", "size=base"): "wavlm-base",
        ("WavLM", "size=large"): "wavlm-large",
    }


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
    for row in all_rows():
        recipe = row.corpus.partition(" conversation")[0]
        assert (repository / "recipes" / recipe / "train.py").is_file()
        assert row.protocol in {"", *PROTOCOLS}


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


def test_rows_of_the_page_have_commands_that_exist(repository):
    folder = repository / "recipes" / "RESD"
    parser = ArgumentParser()
    add_arguments(parser)
    rows = [row for row in all_rows() if row.table == RESD_PAGE]
    assert [len(row.commands) for row in rows] == [2, 2, 1]
    for row in rows:
        for command in row.commands:
            words = command.split()
            if words[0] == "e2v":
                asked = parser.parse_args(words[2:])
                assert (folder / asked.label_map).is_file()
                model = asked.model
            else:
                assert words[:2] == ["python", "train.py"]
                assert (folder / words[2]).is_file()
                model = words[-1]
            card = card_of(known_checkpoint([model]))
            assert card["name"] != "unknown"
            heard = heard_caveats(card, row.corpus)
            assert bool(heard) == ("plus" in model)
            assert ("+" in row.model) == ("plus" in model)
