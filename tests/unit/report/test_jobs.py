"""What makes a job run again, and how it ends when its parent does."""

import os
import signal
import subprocess
import sys
import time

import pytest

from speechbrain_e2v.report.jobs import Job, encoder_files

PARENT = """
import sys
from pathlib import Path
from speechbrain_e2v import console
from speechbrain_e2v.report.jobs import Job

here = Path(sys.argv[1])
job = Job("a", "b", "c", (str(here / "train.py"),), here / "out", None, here)
try:
    with console.command():
        job.run()
except console.Ended as ended:
    sys.exit(ended.status)
"""
TRAINING = """
import os, sys, time
from pathlib import Path
import beside
here = Path(sys.argv[0]).parent
(here / "pid.part").write_text(str(os.getpid()))
(here / "pid.part").rename(here / "pid")
time.sleep(600)
"""


def until(condition):
    """Wait for what must come; a slow machine only takes longer."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("nothing happened within two minutes")


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = f"/proc/{pid}/stat"
    if os.path.exists(stat):  # a zombie has ended, whoever waits for it
        with open(stat) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    return True


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_training_ends_with_its_parent(number, status, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "beside.py").write_text("")
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path]) as parent:
        until((tmp_path / "pid").is_file)
        child = int((tmp_path / "pid").read_text())
        assert is_running(child)
        parent.send_signal(number)
        assert parent.wait() == status
    until(lambda: not is_running(child))
    assert not (tmp_path / "out" / "job.json").exists()


@pytest.fixture
def job(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "a.wav").write_bytes(b"12")
    encoder = tmp_path / "model"
    encoder.mkdir()
    (encoder / "model.pt").write_bytes(b"12")
    job = Job("a", "b", "c", ("train.py",), out, str(encoder), data)
    out.mkdir()
    (out / "results.json").touch()
    job.note_done()
    assert job.is_done()
    return job


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "deep/.DS_Store", "deep/._a.wav", ".git/HEAD", "Thumbs.db",
     "__MACOSX/deep/a.wav", "deep/desktop.ini"],
)  # fmt: skip
def test_what_systems_leave_in_a_corpus_changes_nothing(job, name):
    (job.data / name).parent.mkdir(exist_ok=True, parents=True)
    (job.data / name).write_text("x")
    assert job.is_done()


def test_another_file_or_another_encoder_changes_it(job):
    weights = encoder_files(job.encoder)
    assert [path.name for path in weights] == ["model.pt"]
    weights[0].write_bytes(b"123")
    assert not job.is_done()
    weights[0].write_bytes(b"12")
    assert job.is_done(), "the content counts, not the time of its change"
    (job.data / "deep" / "b.wav").write_bytes(b"12")
    assert not job.is_done()


@pytest.mark.parametrize("text", ["", "[]", '{"digest": 7}', "[" * 10**5])
def test_a_damaged_note_is_no_note(job, text):
    (job.output / "job.json").write_text(text)
    assert not job.is_done()
