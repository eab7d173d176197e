"""A target is whole or not there, and dead runs leave nothing for ever."""

import os
import subprocess
import sys

import pytest

from speechbrain_e2v.files.atomic import (
    UNFINISHED,
    new_folder,
    replace_text,
    replaced_file,
    sweep_leftovers,
)

WRITERS = {
    "file": "with replaced_file(target) as path: path.write_text('half'); {}",
    "folder": "with new_folder(target) as path: "
    "(path / 'a').write_text('half'); {}",
}


def start_writing(target, what, then):
    """A process that has half written `target`, then does something."""
    program = (
        "import os, signal, sys, time\n"
        "from speechbrain_e2v.files.atomic import *\n"
        "target = sys.argv[1]\n" + WRITERS[what].format(then)
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE
    )


def leftovers(folder):
    return [x for x in folder.iterdir() if x.name.startswith(UNFINISHED)]


@pytest.mark.parametrize("what", WRITERS)
def test_a_killed_writer_leaves_what_the_next_one_sweeps(tmp_path, what):
    target = tmp_path / "target"
    for _ in range(2):  # the second sweeps after the first
        process = start_writing(
            target, what, "os.kill(os.getpid(), signal.SIGKILL)"
        )
        assert process.wait(60) == -9
        assert len(leftovers(tmp_path)) == 1 and not target.exists()
    assert start_writing(target, what, "0").wait(60) == 0
    assert os.listdir(tmp_path) == ["target"]


@pytest.mark.parametrize("what", WRITERS)
def test_what_a_living_writer_writes_is_not_swept(tmp_path, what):
    process = start_writing(
        tmp_path / "target", what, "print(flush=True); time.sleep(600)"
    )
    try:
        process.stdout.readline()
        assert sweep_leftovers(tmp_path) == 0
        assert len(leftovers(tmp_path)) == 1
    finally:
        process.kill()
        process.wait()
    assert sweep_leftovers(tmp_path) == 1
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("what", WRITERS)
def test_every_writer_has_a_name_of_its_own(tmp_path, what):
    """In containers every process is number 1."""
    target = tmp_path / "target"
    writer = {"file": replaced_file, "folder": new_folder}[what]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with writer(target) as first, writer(tmp_path / "other") as second:
            assert first != second


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_an_error_leaves_the_old_one(tmp_path, error):
    target = replace_text(tmp_path / "note", "old")
    with pytest.raises(error), replaced_file(target) as path:
        path.write_text("half")
        raise error
    with pytest.raises(error), new_folder(tmp_path / "new") as path:
        (path / "a").write_text("half")
        raise error
    assert os.listdir(tmp_path) == ["note"] and target.read_text() == "old"


def test_files_have_ordinary_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        target = replace_text(tmp_path / "note", "text")
        with new_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_folder_that_is_there(tmp_path):
    target = tmp_path / "target"
    for text in ("first", "second"):
        with new_folder(target, overwrite=True) as path:
            (path / text).write_text(text)
            (path / "deep").mkdir()
    assert sorted(os.listdir(target)) == ["deep", "second"]
    with (
        pytest.raises(FileExistsError, match="target is there already"),
        new_folder(target),
    ):
        raise AssertionError("never begun")
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as path:
        (path / "a").touch()
    replace_text(tmp_path / "file", "")
    with (
        pytest.raises(FileExistsError, match="file is no folder"),
        new_folder(tmp_path / "file", overwrite=True),
    ):
        raise AssertionError("never begun")
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "target"]


def test_only_its_own_names_are_swept(tmp_path):
    for name in (".unfinished-", ".unfinished-notes", "unfinished-CKPT", ".x"):
        (tmp_path / name).touch()
    assert sweep_leftovers(tmp_path) == 0 and len(os.listdir(tmp_path)) == 4


def test_a_folder_is_not_listed_for_each_of_its_files(tmp_path, monkeypatch):
    listed = []
    monkeypatch.setattr(
        type(tmp_path), "iterdir", lambda folder: listed.append(folder) or []
    )
    for number in range(5):
        replace_text(tmp_path / f"{number}.txt", "")
    assert listed == [tmp_path]
