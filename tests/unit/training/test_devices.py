"""Devices are checked before anything else happens."""

import pytest
import torch

from speechbrain_e2v.cli import main
from speechbrain_e2v.training.devices import usable_device


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "cpu:x"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ValueError, match=f"device '{name}' cannot be used"):
        usable_device(name)


def test_default_is_a_gpu_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert usable_device().type == expected


def test_the_command_says_it_in_one_line(tmp_path, capsys):
    (tmp_path / "a.wav").touch()
    status = main(
        ["extract", str(tmp_path), "--encoder", str(tmp_path), "-o",
         str(tmp_path / "out"), "--device", "cuda:99"]
    )  # fmt: skip
    assert status == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("e2v: device 'cuda:99' cannot be used")
