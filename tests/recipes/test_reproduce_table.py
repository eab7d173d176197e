"""`e2v reproduce --table` with the real recipes, in this process."""

import csv

import pytest

from speechbrain_e2v.cli import main

TABLE = """
title: Two encoders on generated speech
metrics: [wa, ua, wf1]
experiments:
    - corpus: Synthetic
      floors: [constant, mfcc]
    - corpus: Synthetic
      name: utterance means
      yaml: hparams/probes/utterance.yaml
      floors: []
rows:
    - {model: Their network, name: theirs, yaml: nowhere.yaml}
    - {model: Their model, name: model, quoted: nobody has it}
"""
MINE = ["mine", "mine, utterance means"]


@pytest.fixture
def command(generated_corpus, encoder, tmp_path):
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE)
    root = tmp_path / "root"
    root.mkdir()
    (root / "Synthetic").symlink_to(generated_corpus)
    return [
        "reproduce", "--data_root", str(root), "--table",
        str(table), "--encoder", f"mine={encoder}", "--number_of_epochs", "1",
        "--device", "cpu", "--allow_partial", "--output",
        str(tmp_path / "out"),
    ]  # fmt: skip


def test_a_plan_runs_nothing(command, in_process, tmp_path, capsys):
    assert main([*command, "--dry_run"]) == 0
    assert in_process == []
    assert not (tmp_path / "out").exists()
    lines = capsys.readouterr().out.splitlines()
    plan = [line for line in lines if line.startswith("Synthetic, ")]
    where = "Synthetic, leave_one_speaker_out"
    assert plan[0] == f"{where}, constant: 0.0 min, 0 B of features"
    # 48 clips of 480 floats
    assert plan[1] == (
        f"{where}, MFCC statistics: 0.0 min, 92.2 kB of features"
    )
    assert plan[2].startswith(f"{where}, mine: ")
    assert "1 cells: quoted: no recipe has nowhere.yaml" in lines
    assert "2 cells: quoted" in lines
    assert plan[3].startswith(f"{where}, mine, utterance means: ")
    assert lines[-1].startswith("4 jobs, 0 of them done; the rest: ")


def test_from_nothing_to_a_table_and_again(
    command, in_process, tmp_path, capsys
):
    assert main(command) == 0, capsys.readouterr().out
    out = tmp_path / "out"
    ran = [features for _, _, features in in_process]
    assert ran == ["constant", "MFCC statistics", *MINE]
    printed = capsys.readouterr().out
    assert "[3/4] Synthetic, leave_one_speaker_out, mine ..." in printed
    page = (out / "mine.md").read_text()
    assert "| Their model | model | - | - | quoted | quoted |" in page
    with open(out / "mine.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    scores = {line["features"]: line for line in lines if line["WA"] != "-"}
    assert set(scores) == {"constant", "MFCC statistics", *MINE}
    assert scores["constant"]["UA"] == "16.67", "one of six emotions"
    assert scores["mine"]["state"] == "run"
    assert "Paired differences" in (out / "results.md").read_text()
    in_process.clear()
    assert main(command) == 0
    assert in_process == [], "what is done is not done again"
    assert (out / "mine.md").read_text() == page
    assert "4 jobs, 4 of them done" in capsys.readouterr().out


def test_a_table_without_floors(command, in_process, tmp_path):
    assert main([*command, "--no_floors"]) == 0
    assert [features for _, _, features in in_process] == MINE
    assert "constant" not in (tmp_path / "out" / "mine.md").read_text()


def test_what_fails_is_a_cell(command, in_process, tmp_path, capsys):
    arguments = [*command, "--no_floors", "--seeds", "1", "1"]
    assert main(arguments) == 1
    text = (tmp_path / "out" / "mine.md").read_text()
    assert "failed: seeds is" in text
