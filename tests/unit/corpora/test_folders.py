"""Listing corpora: strange names are errors, macOS leftovers are not."""

import os
import re

import numpy
import pytest
import soundfile

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.folders import list_files, match_names, scan_folder
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.walk import find_audio, walk
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.clips import measure

EMODB = re.compile(r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-f])\.wav")


@pytest.fixture
def corpus(tmp_path):
    for name in (
        "wav/03a01Fa.wav",
        "wav/16b10Td.wav",
        "wav/._03a01Fa.wav",
        "wav/.DS_Store",
        "__MACOSX/wav/03a01Fa.wav",
        "erkennung.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_names_are_matched_and_sorted(corpus):
    found = match_names(corpus, "*.wav", EMODB)
    assert [(path, match.groups()) for path, match in found] == [
        ("wav/03a01Fa.wav", ("03", "a01", "F", "a")),
        ("wav/16b10Td.wav", ("16", "b10", "T", "d")),
    ]


@pytest.mark.parametrize(
    "name", ["07a01Fa.wav", "03a01Fa(1).wav", "x03a01Fa.WAV"]
)
def test_a_strange_name_is_an_error_that_names_it(corpus, name):
    (corpus / "wav" / name).touch()
    with pytest.raises(ValueError, match=re.escape(f"wav/{name}")):
        match_names(corpus, "*.wav", EMODB)


def test_nothing_found_says_where(corpus):
    with pytest.raises(ValueError, match=r"no \*.flac below it"):
        list_files(corpus, "*.flac")
    with pytest.raises(ValueError, match="absent: no such folder"):
        list_files(corpus / "absent", "*.wav")


def test_a_folder_of_unlabelled_audio(corpus):
    (corpus / "other").mkdir()
    (corpus / "other" / "b.c.wav").touch()
    rows = scan_folder(corpus)
    assert [(u.id, u.wav) for u in rows] == [
        ("other__b.c", "other/b.c.wav"),
        ("wav__03a01Fa", "wav/03a01Fa.wav"),
        ("wav__16b10Td", "wav/16b10Td.wav"),
    ]
    assert [u.id for u in scan_folder(corpus, exclude=["wav/*"])] == [
        "other__b.c"
    ]
    with pytest.raises(ValueError, match="leaves no"):
        scan_folder(corpus, exclude=["*"])
    (corpus / "wav__03a01Fa.wav").touch()
    with pytest.raises(ValueError, match="would both be 'wav__03a01Fa'"):
        scan_folder(corpus)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_rings_of_links_end_and_list_each_file_once(tmp_path):
    touch(tmp_path, "a.wav", "x/b.wav", "x/y/c.wav")
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "x" / "up").symlink_to("..")
    (tmp_path / "x" / "y" / "x").symlink_to("../../x")
    assert walk(tmp_path) == ["a.wav", "x/b.wav", "x/y/c.wav"]


def test_a_file_is_listed_once_and_under_its_own_name(tmp_path):
    touch(tmp_path / "store", "z/one.wav", "z/two.wav")
    corpus = tmp_path / "corpus"
    touch(corpus, "own.wav")
    (corpus / "a_link.wav").symlink_to("own.wav")
    (corpus / "b_link.wav").symlink_to("own.wav")
    (corpus / "far").symlink_to(tmp_path / "store")
    (corpus / "further").symlink_to(tmp_path / "store" / "z")
    (corpus / "other.wav").symlink_to(tmp_path / "store/z/two.wav")
    (corpus / "lost.wav").symlink_to("nowhere.wav")
    assert walk(corpus) == [
        "far/z/one.wav", "far/z/two.wav", "lost.wav", "own.wav",
    ]  # fmt: skip


def test_two_names_of_one_hard_linked_file_are_two_files(tmp_path):
    touch(tmp_path, "a.wav")
    os.link(tmp_path / "a.wav", tmp_path / "b.wav")
    assert walk(tmp_path) == ["a.wav", "b.wav"]


def test_every_command_lists_the_same_files(tmp_path):
    names = ["a.wav", "b.M4A", "c.webm", "d.mp4", "e.flac", "f.opus"]
    touch(tmp_path / "real", *names, "notes.txt", ".hidden.wav")
    (tmp_path / "linked").symlink_to("real")
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "real")
    listed = [f"link/{name}" for name in names]
    assert find_audio(folder) == listed
    assert [u.wav for u in scan_folder(folder)] == listed
    clips = [os.path.relpath(c.path, folder) for c in list_clips([folder])]
    assert sorted(clips) == listed


def wav(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, numpy.zeros(800), 8000)


def test_the_manifest_command_names_what_it_leaves_out(tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "m.json"
    for name in ("a.wav", "b.flac"):
        wav(folder / name)
    (folder / "c.webm").write_bytes(b"no container")
    os.mkfifo(folder / "pipe.wav")
    odd = os.fsencode(folder) + b"/col\xe8re.wav"
    os.link(folder / "a.wav", odd)
    assert main(["manifest", str(folder), "-o", str(out)]) == 1
    assert [u.id for u in read_manifest(out)] == ["a", "b"]
    shown = capsys.readouterr().out
    assert "m.json: 2 files" in shown
    assert "c.webm: unreadable" in shown
    assert "pipe.wav: unreadable (no regular file)" in shown
    assert r"col\xe8re.wav: bad_name" in shown
    os.remove(odd)
    arguments = ["manifest", str(folder), "-o", str(out), "--pattern", "a*"]
    assert main(arguments) == 0
    assert "left out: 3 audio files that are not named a*, such as b.flac" in (
        capsys.readouterr().out
    )


def test_a_corpus_with_a_name_that_is_not_utf_8_names_it(tmp_path):
    touch(tmp_path, "03a01Fa.wav")
    os.close(os.open(os.fsencode(tmp_path) + b"/\xfcber.wav", os.O_CREAT))
    with pytest.raises(ValueError, match=r"not UTF-8.*: \\xfcber.wav"):
        match_names(tmp_path, "*.wav", EMODB)


def test_a_folder_that_may_not_be_read_is_said(tmp_path, caplog, monkeypatch):
    touch(tmp_path, "a.wav", "closed/b.wav")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert walk(tmp_path) == ["a.wav"]
    assert "closed: Permission denied, not searched" in caplog.text


def test_an_odd_name_is_read_and_shown(tmp_path):
    wav(tmp_path / "good.wav")
    os.link(tmp_path / "good.wav", os.fsencode(tmp_path) + b"/col\xe8re.wav")
    clips = list_clips([tmp_path])
    assert [clip.name for clip in clips] == [r"col\xe8re", "good"]
    assert measure(clips, 400) == [1600, 1600]
    assert len(clips[0].read()) == 1600  # only a manifest cannot hold it
