"""A short form of `make fuzz`: no faults among a few hundred trials."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("part", "options", "least"),
    [
        ("fuzz", ["--trials", "2"], 60),
        ("crashes", ["--points", "1"], 40),
        ("together", [], 10),
        ("disks", [], 0),
        ("padded", ["--batches", "12"], 12),
    ],
)
def test_no_faults(part, options, least):
    command = [sys.executable, "-m", "robustness", "--parts", part, *options]
    search = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("0 faults in "), "\n".join(lines)
    counts = re.findall(r"(\d+) (?:tried|SIG\w+|together|full)", done.stdout)
    assert sum(map(int, counts)) >= least
    assert done.returncode == 0
