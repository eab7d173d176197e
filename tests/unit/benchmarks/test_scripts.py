"""Scripts run in their tiny modes; tables are made of results."""

import doctest
import json
import subprocess
import sys

import pytest
import torch

from speechbrain_e2v.downstream.conversation import trainer as conversation


@pytest.mark.parametrize("name", ["goals", "timing", "weights"])
def test_examples(script, name):
    tried = doctest.testmod(script(name))
    assert tried.attempted and not tried.failed


def test_memory_example_in_a_process_of_its_own(repository):
    # What a process that has run other tests gave back to its allocator, but
    # not to the system, would not be counted again.
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "benchmarks/memory.py"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_ratio_of_medians(script):
    timing = script("timing")
    seconds = {"ours": [1.0, 9.0, 1.0], "peer": [2.0, 2.0, 30.0]}
    found = timing.ratio(seconds)
    assert found.median == 2.0  # neither outlier counts
    assert (found.low, found.high) == (2 / 9, 30.0)


def test_functions_take_turns(script):
    calls = []
    script("timing").alternate(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        rounds=2,
    )
    assert "".join(calls) == "ab" + "ab" + "ba"


@pytest.mark.parametrize(
    "name", ["masks", "sampler", "probes", "start_up", "conversation"]
)
def test_tiny_runs(script, name, tmp_path, capsys, monkeypatch):
    module = script(name)
    monkeypatch.setattr(conversation, "usable_processes", lambda device: 1)
    output = tmp_path / "rows.json"
    argv = ["--tiny", "-o", str(output)]
    script("measurement").main(module.__doc__, module.PARTS, argv)
    content = json.loads(output.read_text())
    keys = [row["key"] for row in content["rows"]]
    assert content["tiny"] and set(keys) <= set(script("goals").GOALS)
    assert all(row["figure"] > 0 for row in content["rows"])
    assert "goal" in capsys.readouterr().out


def test_an_unknown_part_is_refused(script, capsys):
    module = script("masks")
    with pytest.raises(SystemExit):
        script("measurement").main(module.__doc__, module.PARTS, ["nope"])
    assert "no part ['nope']" in capsys.readouterr().err


def test_long_audio_in_a_fresh_process(script):
    run = script("long_audio").measure("ours", 2.0, tiny=True)
    assert run["frames"].shape[1] == 48
    assert 0 <= run["peak"] < run["process"]


def test_all_parts_exist_and_every_goal_has_one(script):
    steps = script("run_all").STEPS
    for step in steps.values():
        assert step.part in script(step.script).PARTS, step
    total = sum(s.minutes for s in steps.values() if not s.big)
    assert 0 < total < 30


def test_run_all_writes_one_file(script, tmp_path):
    output = tmp_path / "all.json"
    arguments = ["--tiny", "--parts", "masks", "-o", str(output)]
    assert script("run_all").main(arguments) == 0
    (row,) = json.loads(output.read_text())["rows"]
    assert row["command"] == "benchmarks/masks.py masks"


def results(figure, tiny=False, note=""):
    row = {
        "key": "masks",
        "figure": figure,
        "checks": {"masked frames": 249},
        "spread": [0.5, 2.0],
        "rounds": 3,
        "note": note,
        "command": "benchmarks/masks.py",
    }
    machine = {
        "cpu": "CPU",
        "threads": 2,
        "bf16_flags": [],
        "gflops": {"fp32": 200, "bf16": 50},
        "versions": {"torch": "2"},
        "commit": "abc",
    }
    content = {"date": "2030-01-01", "tiny": tiny, "machine": machine}
    return {**content, "rows": [row]}


def test_table(script):
    report = script("report")
    (rows,) = report.by_machine([results(3.0), results(0.75)])
    table = report.full_table(rows)
    assert "0.75 ms" in table and " met " in table
    assert "3 ms" not in table  # the later file replaced it
    (slow,) = report.by_machine([results(3.0)])
    assert "missed" in report.full_table(slow)
    text = f"a\n{report.BEGIN}\nold\n{report.END}\nb\n"
    once = report.put_into(text, table)
    assert "old" not in once and once == report.put_into(once, table)
    with pytest.raises(ValueError, match="tiny"):
        report.by_machine([results(1.0, tiny=True)])


def test_allocators_have_rows_of_their_own(script):
    report = script("report")
    (rows,) = report.by_machine([results(3.0), results(2.0, note="TRIM")])
    assert [row["figure"] for row, _ in rows] == [3.0, 2.0]


def test_the_page_shows_goals_that_exist(script):
    report, goals = script("report"), script("goals").GOALS
    text = report.README.read_text("utf-8")
    rows = [
        line.split("|")[1].strip()
        for line in text.split(report.BEGIN)[1]
        .split(report.END)[0]
        .splitlines()
        if line.startswith("| ")
    ]
    assert len(rows) > 10
    for row in rows[1:]:
        assert any(row.startswith(goal.work) for goal in goals.values()), row


def test_gpu_scripts_without_a_gpu(script, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("gpu_pretraining", "gpu_parity"):
        assert script(name).main([]) == 2
        assert "no CUDA device" in capsys.readouterr().out
    arguments = ["--device", "cpu", "--tiny"]
    assert script("gpu_pretraining").main(arguments) == 0
    printed = capsys.readouterr().out
    assert "hours of speech an hour" in printed and "peak" in printed
