"""Run options are checked, converted, and keep their precedence."""

import math
import sys

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.run_opts import RunOptions
from unit.training.toy_brain import PlainBrain, toy_brain

from speechbrain_e2v.training.run_options import checked_options


@pytest.mark.parametrize(
    ("option", "value", "way_out"),
    [
        ("max_grad_norm", -1, "positive"),
        ("max_grad_norm", 0.0, ".inf"),
        ("max_grad_norm", ".nan", "number"),
        ("max_grad_norm", "big", "number"),
        ("grad_accumulation_factor", 0, "1 or more"),
        ("grad_accumulation_factor", 1.5, "whole"),
        ("grad_accumulation_factor", True, "number"),
        ("optimizer_step_limit", 0, "1 or more"),
        ("ckpt_interval_minutes", -1, "0"),
        ("ckpt_interval_steps", 5, "checkpointer"),
        ("nonfinite_patience", None, "number"),
        ("compile_module_keys", ["student"], "compile: True"),
        ("jit_module_keys", ["student"], "jit: True"),
        ("data_parallel_backend", True, "torchrun"),
    ],
)
def test_refusals_name_option_value_and_way_out(option, value, way_out):
    with pytest.raises(ValueError) as caught:
        checked_options({"seed": 1, option: value}, None)
    for part in (option, str(value), way_out):
        assert part in str(caught.value)


def test_contradictory_intervals(tmp_path):
    with pytest.raises(ValueError, match="is 2.* is 3: set one of them to 0"):
        toy_brain(tmp_path, ckpt_interval_minutes=2, ckpt_interval_steps=3)


def test_merged_run_options_replace_the_yaml_and_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "x.yaml", "--device", "cpu"])
    _, run_opts, _ = RunOptions.from_command_line_args()
    yaml = {"seed": 1, "precision": "bf16", "grad_accumulation_factor": 2}
    merged = dict(yaml)
    merged.update(run_opts)
    plain = PlainBrain({"m": torch.nn.Linear(1, 1)}, hparams=merged)
    assert (plain.precision, plain.grad_accumulation_factor) == ("fp32", 1)
    with pytest.raises(ValueError, match="hparams.update"):
        checked_options(merged, run_opts)
    brain = toy_brain(hparams=yaml)
    assert (brain.precision, brain.grad_accumulation_factor) == ("bf16", 2)


def test_command_line_wins_over_yaml_over_default():
    argv = ["x.yaml", "--max_grad_norm", "2", "--device", "cpu"]
    _, run_opts, _ = RunOptions.from_command_line_args(argv)
    yaml = {"seed": 1, "max_grad_norm": 7, "nonfinite_patience": 9}
    hparams, run_opts = checked_options(yaml, run_opts)
    plain = PlainBrain({"m": torch.nn.Linear(1, 1)}, None, hparams, run_opts)
    assert plain.max_grad_norm == 2.0
    assert plain.nonfinite_patience == 9
    assert plain.grad_accumulation_factor == 1


def test_a_limit_from_the_command_line_is_a_number():
    argv = ["x.yaml", "--optimizer_step_limit", "100", "--device", "cpu"]
    _, run_opts, _ = RunOptions.from_command_line_args(argv)
    plain = PlainBrain({"m": torch.nn.Linear(1, 1)}, None, {}, run_opts)
    with pytest.raises(TypeError):
        plain._optimizer_step_limit_exceeded  # noqa: B018
    _, run_opts = checked_options({"seed": 1}, run_opts)
    assert run_opts["optimizer_step_limit"] == 100
    assert toy_brain(optimizer_step_limit="100").optimizer_step_limit == 100


def test_yaml_numbers_that_yaml_reads_as_text():
    yaml = {"seed": 1, "max_grad_norm": "1e2", "ckpt_interval_minutes": "0"}
    hparams, _ = checked_options(yaml, None)
    assert hparams["max_grad_norm"] == 100.0
    assert hparams["ckpt_interval_minutes"] == 0.0
    assert yaml["max_grad_norm"] == "1e2"
    hparams, _ = checked_options({"seed": 1, "max_grad_norm": ".inf"}, None)
    assert hparams["max_grad_norm"] == math.inf


def test_what_else_a_brain_needs(tmp_path):
    with pytest.raises(ValueError, match="seed"):
        checked_options({}, None)
    with pytest.raises(TypeError, match="AtomicCheckpointer"):
        checked_options({"seed": 1}, None, Checkpointer(tmp_path))


def test_debug_runs_whole_updates():
    assert toy_brain(grad_accumulation_factor=3).debug_batches == 3
