"""Listing corpora: strange names are errors, macOS leftovers are not."""

import re

import pytest

from speechbrain_e2v.corpora.folders import list_files, match_names, scan_folder

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
