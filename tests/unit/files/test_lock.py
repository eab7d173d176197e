"""One writer a folder, and no lock outlives its process."""

import os
import subprocess
import sys
import threading

import pytest

from speechbrain_e2v.files.lock import LOCK_NAME, FolderInUse, sole_writer

HOLD = """
import sys, time
from speechbrain_e2v.files.lock import sole_writer
with sole_writer(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_refused_in_one_line(tmp_path, holder):
    with pytest.raises(FolderInUse) as caught, sole_writer(tmp_path):
        raise AssertionError("two writers")
    message = str(caught.value)
    assert "\n" not in message and str(tmp_path) in message
    assert f"process {holder.pid} on" in message
    assert "give another folder" in message


def test_a_killed_writer_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert os.listdir(tmp_path) == [LOCK_NAME]
    with sole_writer(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_the_lock_is_free_after_an_ordinary_end(tmp_path, holder):
    holder.communicate("")
    assert os.listdir(tmp_path) == []
    with sole_writer(tmp_path), sole_writer(tmp_path / "." / "deeper"):
        pass


def test_a_fork_does_not_inherit_it(tmp_path):
    """A loader's worker may outlive a killed run by seconds."""
    reading, writing = os.pipe()
    with sole_writer(tmp_path):
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)  # until the parent is done
            os._exit(0)
    os.close(reading)
    try:
        with sole_writer(tmp_path):
            pass
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def test_a_thread_may_ask_again_but_another_one_not(tmp_path):
    seen = []

    def other():
        try:
            with sole_writer(tmp_path):
                seen.append("two writers")
        except FolderInUse:
            seen.append("refused")

    with sole_writer(tmp_path), sole_writer(str(tmp_path)):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == ["refused"]
    other()
    assert seen == ["refused", "two writers"]


def test_ranks_of_one_run_are_one_writer(tmp_path, monkeypatch):
    with sole_writer(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with sole_writer(tmp_path):
            assert LOCK_NAME in os.listdir(tmp_path)
        assert LOCK_NAME in os.listdir(tmp_path)


def test_waiters_never_share_a_removed_lock(tmp_path):
    """The file goes with its lock; nobody may hold a file without a name."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from speechbrain_e2v.files.lock import FolderInUse, sole_writer\n"
        "folder, made = Path(sys.argv[1]), 0\n"
        "while made < 150:\n"
        "    try:\n"
        "        with sole_writer(folder):\n"
        "            (folder / 'only').touch(exist_ok=False)\n"
        "            (folder / 'only').unlink()\n"
        "            made += 1\n"
        "    except FolderInUse:\n"
        "        pass\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
        for _ in range(3)
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]


def test_where_there_are_no_locks_it_says_so(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.warns(UserWarning, match="cannot be locked .Function not"),
        sole_writer(tmp_path),
    ):
        assert os.listdir(tmp_path) == [LOCK_NAME]
