"""Downloads from a server that breaks off, changes and refuses."""

import hashlib
import shutil
from collections import namedtuple

import pytest
from unit.files.loopback_origin import CONTENT, Origin

from speechbrain_e2v.files.download import Download, fetch

MD5 = hashlib.md5(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def origin():
    found = Origin()
    yield found
    found.close()


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
