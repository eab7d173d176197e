"""Tables of the paper as data, and the text of a small one."""

from collections import defaultdict

import pytest

from speechbrain_e2v.files.documents import BadDocument
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.report.estimates import Cost, job_cost, total
from speechbrain_e2v.report.paper import all_rows
from speechbrain_e2v.report.paper_table import TABLES, read_table
from speechbrain_e2v.report.recipe_jobs import JobOptions
from speechbrain_e2v.report.rows import read_rows
from speechbrain_e2v.report.table_cells import Choice, table_cells
from speechbrain_e2v.report.table_text import (
    ResultColumn,
    long_table,
    results_by_key,
    shaped_table,
    table_page,
)
from tests.unit.report.made_up_runs import write_run

SMALL = """
title: A small one
metrics: [wa, ua]
experiments:
    - corpus: EmoDB
rows:
    - {model: WavLM-base, upstream: wavlm-base}
    - {model: emotion2vec, upstream: emotion2vec, approximate: it is smaller}
    - {model: Some net, name: net, yaml: somewhere.yaml}
    - {model: Another, name: another, quoted: nobody has it}
"""


@pytest.fixture
def options(repository, tmp_path):
    return JobOptions(repository, tmp_path / "out", allow_partial=True)


@pytest.mark.parametrize("number", TABLES)
def test_every_printed_number_has_one_cell(number, options):
    _, table = read_table(number)
    cells = table_cells(number, table, Choice(), defaultdict(list), options)
    shown = [id(cell.printed) for cell in cells if cell.printed]
    printed = [id(row) for row in all_rows() if row.table == number]
    assert sorted(shown) == sorted(printed)
    assert not any(cell.job for cell in cells)


@pytest.mark.parametrize("number", TABLES)
def test_our_names_are_those_of_the_printed_rows(number, options):
    _, table = read_table(number)
    cells = table_cells(number, table, Choice(), defaultdict(list), options)
    for cell in cells:
        if cell.printed and cell.printed.upstream:
            assert cell.row.upstream == cell.printed.upstream


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "table_4.yaml"
    path.write_text(SMALL)
    return read_table(str(path))[1]


def made_up_results(folder):
    for name, upstream, guess in (
        ("constant", "nothing", [(0, 0), (0, 0)]),
        ("mine", "mine", [(0, 1), (0, 0)]),
    ):
        write_run(folder / name, upstream, guess)
        (folder / name / "job.json").write_text(
            f'{{"digest": "", "features": "{name}"}}'
        )
    return results_by_key(read_rows(sorted(folder.glob("*/results.json"))))


def test_the_text_of_a_table(small, options, tmp_path):
    corpora = {"EmoDB": [tmp_path]}
    choice = Choice({}, {"mine": "model"}, ["constant"], "paper")
    cells = table_cells("4", small, choice, corpora, options)
    results = made_up_results(tmp_path / "made")
    shape = shaped_table(small, cells, results, {})
    assert shape.markdown().splitlines() == [
        "| model | here | upstream M | downstream M "
        "| EmoDB, random_kfold: paper | EmoDB, random_kfold: ours |",
        "|---|---|---|---|---|---|",
        "| constant | constant | - | - | - | 50.00 / 50.00 |",
        f"| WavLM-base | wavlm-base | - | - | 59.06 / 55.32 | {cells[1].why} |",
        "| emotion2vec | emotion2vec | - | - | 84.34 / 84.85 "
        f"| {cells[2].why} |",
        "| Some net | net | - | - | - | quoted: no recipe has somewhere.yaml |",
        "| Another | another | - | - | - | quoted |",
        "| mine | mine | - | - | - | 75.00 / 75.00 |",
    ]
    more = ResultColumn("folds", lambda row: str(row.folds))
    long = long_table(small, cells, results, {}, [more])
    assert long.header[-2:] == ("state", "folds")
    assert long.rows[-1][-2:] == ("run", "2")
    page = table_page("4", small, cells, results, {})
    assert "* emotion2vec \\*: it is smaller" in page
    assert "* Another: nobody has it" in page


def test_what_failed_is_said(small, options, tmp_path):
    corpora = {"EmoDB": [tmp_path]}
    choice = Choice({}, {"mine": "model"}, [], "paper")
    cells = table_cells("4", small, choice, corpora, options)
    failed = {("EmoDB", "random_kfold", "mine"): "failed: no room"}
    long = long_table(small, cells, {}, failed)
    assert long.rows[-1][-1] == "failed: no room"
    shape = shaped_table(small, cells, {}, failed)
    assert shape.rows[-1][-1] == "failed", "why is said once, below"


def test_commands_of_a_table(small, options, tmp_path):
    corpora = {"EmoDB": [tmp_path]}
    choice = Choice({}, {"mine": "model"}, ["mfcc", "random"], "strict")
    jobs = [
        cell.job
        for cell in table_cells("4", small, choice, corpora, options)
        if cell.job
    ]
    assert [job.features for job in jobs] == [
        "MFCC statistics", "random encoder", "mine",
    ]  # fmt: skip
    yamls = [job.command[1].rpartition("hparams/")[2] for job in jobs]
    assert yamls == [
        "probes/mfcc.yaml", "probes/random_linear.yaml", "linear_strict.yaml",
    ]  # fmt: skip
    assert {job.protocol for job in jobs} == {"leave_one_speaker_out"}
    assert jobs[-1].command[-2:] == ("--encoder", "model")
    assert jobs[-1].encoder == "model"
    quick = Choice({}, {"mine": "model"}, [], "strict", "logistic")
    (job,) = [
        cell.job
        for cell in table_cells("4", small, quick, corpora, options)
        if cell.job
    ]
    assert job.command[1].endswith("hparams/probes/logistic.yaml")


def test_conversations_take_networks_and_inputs(options, tmp_path):
    _, table = read_table("6")
    corpora = {"IEMOCAP": [tmp_path]}
    choice = Choice(None, {"mine": "model"}, ["constant", "mfcc"])
    cells = table_cells("6", table, choice, corpora, options)
    text = {
        cell.features: " ".join(cell.job.command)
        for cell in cells
        if cell.column.name == "text" and cell.job
    }
    assert list(text) == ["timeline", "merged", "routed"]
    assert "--inputs bert --network merged" in text["merged"]
    shi = [c for c in cells if c.row.name == "merged" and c.job]
    assert [c.column.name for c in shi] == ["speech", "text", "speech+text"]
    for cell, heard in zip(shi, (True, False, True), strict=True):
        command = " ".join(cell.job.command)
        assert ("--upstream egemaps-wav2vec2" in command) == heard
    mine = [cell for cell in cells if cell.features == "mine"]
    assert [cell.column.name for cell in mine] == ["speech", "speech+text"]
    assert "conversation.yaml" in mine[0].job.command[1]
    outputs = [cell.job.output for cell in cells if cell.job]
    assert len(set(outputs)) == len(outputs)


def test_networks_and_vectors_of_others(options, tmp_path):
    corpora = defaultdict(lambda: [tmp_path])
    choice = Choice({"dst": "", "mstr": ""}, {}, [], "paper")
    cells = table_cells("2", read_table("2")[1], choice, corpora, options)
    jobs = {cell.row.name: cell.job for cell in cells if cell.job}
    assert list(jobs) == ["mstr", "dst"]
    assert {job_cost(cell, (1, 1.0), None) for cell in cells} == {None}
    assert jobs["dst"].command[1].endswith("IEMOCAP/hparams/dst.yaml")
    assert "--upstream wavlm-large" in " ".join(jobs["dst"].command)
    for given, words in (("", ""), ("openl3.npz", "--vectors openl3.npz")):
        choice = Choice({"l3-net": given, "query2emo": ""}, {}, [], "paper")
        cells = table_cells("5", read_table("5")[1], choice, corpora, options)
        found = {c.row.name: c for c in cells if c.why != "not run"}
        assert "probes/query2emo.yaml" in found["query2emo"].job.command[1]
        row = found["l3-net"]
        if given:
            assert f"--upstream precomputed {words}" in " ".join(
                row.job.command
            )
        else:
            assert row.why == "quoted: give --upstreams l3-net=VECTORS"


def test_costs_by_hand(options, tmp_path):
    encoder = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    model = save_encoder(tmp_path / "model", encoder, {})
    _, table = read_table("4")
    corpora = defaultdict(lambda: [tmp_path])
    choice = Choice({}, {}, ["mfcc"], "paper")
    cells = table_cells("4", table, choice, corpora, options)
    mfcc = job_cost(cells[0], (10, 30.0), None)
    assert (mfcc.extraction, mfcc.training) == (0, 0)
    assert mfcc.feature_bytes == 10 * 480 * 4
    of_text = Choice(None, {}, [], "paper")
    cells = table_cells("6", read_table("6")[1], of_text, corpora, options)
    (text, *_) = [c for c in cells if c.column.name == "text" and c.job]
    assert job_cost(text, (10, 30.0), None) is None, "BERT's are not known"
    own = Choice({}, {"mine": str(model)}, [], "paper")
    cells = table_cells("4", table, own, corpora, options)
    mine = next(c for c in cells if c.features == "mine" and c.job)
    cost = job_cost(mine, (10, 30.0), 1)
    assert cost.feature_bytes == 30 * 50 * 16 * 4
    # forward and the weights' gradient, on four fifths, in ten folds
    assert cost.training == 2 * 10 * 0.8 * 30 * 50 * 16 * 256
    assert job_cost(mine, (10, 60.0), 1).extraction == 2 * cost.extraction
    one = Cost(("a", "wavlm-base", "one"), 5.0, 1.0, 7)
    other = Cost(("b", "wavlm-base", "one"), 5.0, 1.0, 7)
    assert total([one, one, other]) == (13.0, 14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title:", "titles:"), "unknown field"),
        (("upstream: wavlm-base", "setting: x"), "give name or upstream"),
        (("quoted:", "experiments: [MELD], quoted:"), "is called MELD"),
    ],
)
def test_bad_tables(change, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL.replace(*change))
    with pytest.raises(BadDocument, match=message):
        read_table(str(path))


def test_unknown_names_are_refused(small, options):
    with pytest.raises(ValueError, match="there is no table 12"):
        read_table("12")
    choice = Choice({"wavlm": ""})
    with pytest.raises(ValueError, match="no wavlm; there are"):
        table_cells("4", small, choice, {}, options)
