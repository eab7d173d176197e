"""Downloads against a server on this machine that misbehaves on request."""

import hashlib
import io
import re
import shutil
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from speechbrain_e2v.corpora.archives import MARKER, download_corpus, unpack
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.download import Download, fetch
from speechbrain_e2v.corpora.prepare import prepare_main
from tests.recipes.fake_corpora import wav_bytes

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


class Origin:
    """A server, what it serves, and what it was asked for."""

    def __init__(self):
        self.content = CONTENT
        self.version = '"1"'
        self.ranges = True
        self.break_after = []  # bytes sent by the coming answers
        self.statuses = []  # of the coming answers, instead of the file
        self.asked = []

        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                origin.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/a.zip"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        same = handler.headers.get("If-Range") == self.version
        start = 0
        if wanted and self.ranges and same:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", self.version)
        handler.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
        handler.wfile.write(body)


@pytest.fixture
def origin():
    found = Origin()
    yield found
    found.server.shutdown()
    found.server.server_close()


def get(origin, folder, **options):
    download = Download(origin.url, "a.zip", **options)
    return fetch(download, folder, attempts=3, wait=0, progress=False)


def test_a_file_comes_whole(origin, tmp_path):
    path = get(origin, tmp_path / "new", md5=MD5, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["a.zip"]
    get(origin, tmp_path / "new", md5=MD5)
    assert origin.asked == [None]


def test_a_broken_connection_is_resumed(origin, tmp_path):
    origin.break_after = [1000, 500]
    assert get(origin, tmp_path, md5=MD5).read_bytes() == CONTENT
    assert origin.asked == [None, "bytes=1000-", "bytes=1500-"]


def test_another_process_goes_on(origin, tmp_path):
    origin.break_after = [1000, 0, 0]
    with pytest.raises(ValueError, match="1,000 bytes are kept"):
        get(origin, tmp_path)
    assert not (tmp_path / "a.zip").exists()
    asked = len(origin.asked)
    assert get(origin, tmp_path, md5=MD5).read_bytes() == CONTENT
    assert origin.asked[asked:] == ["bytes=1000-"]


def test_a_file_that_changed_is_fetched_anew(origin, tmp_path):
    origin.break_after = [1000, 0, 0]
    with pytest.raises(ValueError, match="kept"):
        get(origin, tmp_path)
    origin.content, origin.version = CONTENT[::-1], '"2"'
    assert get(origin, tmp_path).read_bytes() == CONTENT[::-1]


def test_an_origin_without_ranges(origin, tmp_path):
    origin.ranges, origin.break_after = False, [1000]
    assert get(origin, tmp_path, md5=MD5).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(origin, tmp_path):
    with pytest.raises(ValueError, match=f"has the md5 {MD5}, not 0"):
        get(origin, tmp_path, md5="0" * 32)
    assert not list(tmp_path.glob("a.zip*[!n]"))
    assert get(origin, tmp_path, md5=MD5).read_bytes() == CONTENT


def test_a_wrong_size_is_refused(origin, tmp_path):
    with pytest.raises(ValueError, match="has 10,240 bytes, not 7"):
        get(origin, tmp_path, size=7)


def test_a_full_disk_is_told_before_a_byte_is_written(
    origin, tmp_path, monkeypatch
):
    free = 2 * len(CONTENT) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, free))
    with pytest.raises(ValueError, match="needs 0.0 MB.*make room"):
        get(origin, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_origin_refuses(origin, tmp_path):
    origin.statuses = [404]
    with pytest.raises(ValueError, match="answers 404.*by hand"):
        get(origin, tmp_path)
    origin.statuses = [503]
    assert get(origin, tmp_path).is_file()


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def test_a_corpus_arrives_once(origin, tmp_path, capsys):
    origin.content = zipped(**{"wav__a.wav": wav_bytes(0.1, 16000, 1)})
    from speechbrain_e2v.corpora.folders import scan_folder

    corpus = Corpus(
        "Toy", "en", (), {}, parse=scan_folder, expected={"utts": 1},
        downloads=(Download(origin.url, "toy.zip"),),
    )  # fmt: skip
    folder, manifest = tmp_path / "toy", tmp_path / "m.json"
    arguments = ["--data_folder", str(folder), "--manifest", str(manifest)]
    prepare_main(corpus, [*arguments, "--download"])
    assert "Toy: 1 utterances" in capsys.readouterr().out
    assert sorted(p.name for p in folder.iterdir()) == [MARKER, "wav"]
    assert download_corpus(corpus, folder) == []
    assert len(origin.asked) == 1


def test_some_corpora_must_be_asked_for(tmp_path):
    with pytest.raises(ValueError, match="Toy cannot be downloaded.*README"):
        download_corpus(Corpus("Toy", "en", (), {}), tmp_path)


def test_damaged_archives(tmp_path):
    whole = zipped(a="one" * 100, b="two")
    for damaged in (whole[:-30], whole.replace(b"oneone", b"xxxxxx", 1)):
        (tmp_path / "a.zip").write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            unpack(tmp_path / "a.zip", tmp_path / "out", progress=False)
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["../a", "/a", "x/../../a", "C:/a"])
def test_names_that_lead_outside(name, tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(**{name: "x"}))
    with pytest.raises(ValueError, match="leads out"):
        unpack(tmp_path / "a.zip", tmp_path / "in" / "out", progress=False)
    assert not (tmp_path / "in" / "a").exists()


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(wav__a="new", other="x"))
    (tmp_path / "wav").mkdir()
    with pytest.raises(ValueError, match="wav is already there"):
        unpack(tmp_path / "a.zip", tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "wav"]


def test_no_room_to_unpack(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(zipped(a="x" * 100))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 99))
    with pytest.raises(ValueError, match="content of a.zip needs"):
        unpack(tmp_path / "a.zip", tmp_path / "out", progress=False)
