"""Whatever ends a command, one line says so, and nothing is left running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechbrain_e2v import cli, console

HANGING = 600  # seconds: a busy machine is slow to start Python
# A subcommand of a test: `body` is what it does, `folder` its only argument.
PROGRAM = """
import sys, types
from pathlib import Path

def begin(folder):
    {body}

def add_arguments(parser):
    parser.add_argument("folder", type=Path)

def run(arguments):
    begin(arguments.folder)

if __name__ == "__main__":
    from speechbrain_e2v import cli
    sys.modules["speechbrain_e2v.tools.trial"] = types.SimpleNamespace(
        __doc__="", add_arguments=add_arguments, run=run)
    cli.TOOLS["trial"] = "of a test"
    sys.exit(cli.main(["trial", *sys.argv[1:]]))
"""
BUSY = """
    import os, subprocess, time
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from speechbrain_e2v.console import leave_interrupts_to_the_parent
    from speechbrain_e2v.files.atomic import new_folder
    from speechbrain_e2v.files.lock import sole_writer

    class Announced(subprocess.Popen):
        # Said inside of `run`, which from then on ends the process.
        def communicate(self, *arguments, **options):
            print(self.pid, flush=True)
            return super().communicate(*arguments, **options)

    subprocess.Popen = Announced
    with sole_writer(folder), new_folder(folder / "new") as new:
        (new / "half").write_text("half")
        with ProcessPoolExecutor(
            1, get_context("spawn"), leave_interrupts_to_the_parent
        ) as pool:
            print(pool.submit(os.getpid).result(), flush=True)
            pool.submit(time.sleep, 600)
            subprocess.run(["sleep", "600"])
"""


def hear_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(tmp_path, body, *options, **more):
    script = tmp_path / "trial.py"
    script.write_text(PROGRAM.format(body=body))
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    # Tests that run in the background ignore Ctrl-C, and so would this.
    more.setdefault("preexec_fn", hear_interrupts)
    return subprocess.Popen(
        [sys.executable, script, folder, *options],
        stdout=more.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def is_running(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False
    return state.split()[0] != "Z"


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 130, "e2v: interrupted\n"),
        (signal.SIGTERM, 143, "e2v: ended by SIGTERM\n"),
    ],
)
def test_a_signal_ends_a_command_and_its_children(
    tmp_path, number, status, line, group
):
    """To the command alone, as `kill` sends it, or to all, as Ctrl-C is."""
    process = start(tmp_path, BUSY, start_new_session=True)
    try:
        children = [int(process.stdout.readline()) for _ in range(2)]
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, said = process.communicate(timeout=HANGING)
    finally:
        process.kill()
    assert (process.returncode, said) == (status, line)
    assert os.listdir(tmp_path / "folder") == []
    waits = 0
    while any(is_running(child) for child in children) and waits < 600:
        waits += 1
        time.sleep(0.1)
    assert not any(is_running(child) for child in children)


def test_a_command_in_the_background_keeps_ignoring_ctrl_c(tmp_path):
    body = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print(1)"
    process = start(
        tmp_path,
        body,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.communicate(timeout=HANGING) == ("1\n", "")


def test_a_library_that_swallows_the_signal(tmp_path):
    body = """
    import os, signal
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(10**6))
    except BaseException:
        raise RuntimeError("a worker is killed by signal") from None
    """
    process = start(tmp_path, body)
    assert process.communicate(timeout=HANGING)[1] == "e2v: ended by SIGTERM\n"
    assert process.returncode == 143


def test_the_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (2, 15)]
    assert cli.main(["manifest", "no/such/folder", "-o", "x.json"]) == 1
    assert [signal.getsignal(number) for number in (2, 15)] == before


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_no_output_is_lost_to_an_encoding(tmp_path, encoding):
    body = (
        "print('ł', b'col\\xe8re'.decode('utf-8', 'surrogateescape'));"
        "print('zażółć', file=sys.stderr); print('the end')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    process = start(tmp_path, body, env=environment, encoding=encoding)
    said, complained = process.communicate(timeout=HANGING)
    first, last = said.splitlines()
    assert last == "the end" and process.returncode == 0
    assert first.endswith(r"col\udce8re")
    assert "za" in complained and "Traceback" not in complained


def test_a_reader_that_has_enough(tmp_path):
    process = start(tmp_path, "[print(i) for i in range(10**6)]")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(HANGING) == 141
    assert process.stderr.read() == ""


@pytest.mark.parametrize("body", ["print(1)", "print(1, flush=True)"])
def test_standard_output_on_a_full_disk(tmp_path, body):
    with open("/dev/full", "w") as full:
        process = start(tmp_path, body, stdout=full)
        said = process.communicate(timeout=HANGING)[1]
    assert process.returncode == 1
    assert said.startswith("e2v: ") and said.count("\n") == 1
    assert "No space left on device: free some space" in said


BUG = """
    def read(path):
        return path.read_text()["label"]
    target = folder / "classifier.json"
    target.write_text("{{}}")
    read(target)
"""


def test_an_unexpected_error_names_the_file_and_the_way_on(tmp_path):
    process = start(tmp_path, BUG)
    said = process.communicate(timeout=HANGING)[1]
    assert said.startswith("e2v: TypeError: ") and said.count("\n") == 1
    file = tmp_path / "folder" / "classifier.json"
    assert f"(last file: {file}); --debug shows where it came from" in said
    assert process.returncode == 1
    process = start(tmp_path, BUG, "--debug")
    said = process.communicate(timeout=HANGING)[1]
    assert "Traceback" in said and "in read" in said


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n lines"), "two lines"),
        (ValueError("\x1b[31mred\u202e"), r"\x1b[31mred\u202e"),
        (FileNotFoundError(2, "No such file", "x"), "x: No such file"),
        (OSError("told by hand"), "told by hand"),
        (MemoryError(), "MemoryError"),
        (KeyError("a"), "KeyError: 'a'"),
    ],
)
def test_one_line(error, line):
    assert console.one_line(error) == line


@pytest.mark.parametrize(
    ("on_a_terminal", "quiet", "shown"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_progress_is_for_a_terminal(monkeypatch, on_a_terminal, quiet, shown):
    monkeypatch.setattr(console, "_quiet", False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_a_terminal, False)
    if quiet:
        console.be_quiet()
    assert console.shows_progress() == shown
    with console.progress_bar(total=3) as bar:
        assert bar.disable == (not shown)
    assert console.progress_bar(total=3, disable=True).disable
