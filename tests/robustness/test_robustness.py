"""A short form of `make fuzz`: no faults among a few hundred trials."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_no_faults():
    command = [sys.executable, "-m", "robustness", "--trials", "1"]
    command += ["--points", "1", "--long_points", "0", "--batches", "4"]
    command += ["--parts", "fuzz,crashes,together,disks,changes,padded"]
    search = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert lines[-1].startswith("0 faults in "), "\n".join(lines)
    words = r"(\d+) (?:tried|SIG\w+|together|full|changed)\b"
    counts = re.findall(words, done.stdout)
    assert sum(map(int, counts)) > 120
    assert done.returncode == 0
