"""Trainings in processes of their own end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechbrain_e2v.downstream.process_pool import map_in_processes

STARTED = """
import os
from speechbrain_e2v.downstream.process_pool import map_in_processes
jobs = [("echo $PPID > {0}/a; sleep 60",), ("echo $PPID > {0}/b; sleep 60",)]
list(map_in_processes(os.system, jobs, processes=2))
"""


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def alive(process):
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # dead, not yet buried


def test_a_killed_parent_takes_its_processes_along(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTED.format(tmp_path)],
        stderr=subprocess.DEVNULL,
    )
    files = [tmp_path / "a", tmp_path / "b"]
    try:
        wait_for(lambda: all(f.is_file() and f.read_text() for f in files))
        workers = [int(file.read_text()) for file in files]
        assert all(map(alive, workers))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not any(map(alive, workers)))


def test_a_process_that_was_ended_is_told():
    with pytest.raises(ValueError, match="2 training processes .* memory"):
        list(map_in_processes(os._exit, [(1,), (1,)], processes=2))
