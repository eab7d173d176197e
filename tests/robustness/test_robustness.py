"""A short form of `make fuzz`: no faults among a few hundred trials."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("options", "least"),
    [
        (["--parts", "fuzz", "--trials", "1"], 50),
        (["--parts", "crashes,together,disks", "--only", "e"], 20),
        (["--parts", "changes", "--only", "extract"], 10),
        (["--parts", "padded", "--batches", "4"], 4),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_no_faults(options, least):
    command = [sys.executable, "-m", "robustness", "--points", "1"]
    search = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    done = subprocess.run(
        [*command, *options],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert lines[-1].startswith("0 faults in "), "\n".join(lines)
    words = r"(\d+) (?:tried|SIG\w+|together|full|changed)\b"
    counts = re.findall(words, done.stdout)
    assert sum(map(int, counts)) >= least
    assert done.returncode == 0
