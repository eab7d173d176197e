"""One's own corpus: a table, any classes, pieces of files."""

import os

import pytest

from speechbrain_e2v.corpora.manifest import ManifestError
from tests.recipes.fake_corpora import (
    make_text,
    make_wav,
    make_wavs,
    parsed,
    prepared,
    recipe,
)

CORPUS = recipe("Custom")
TABLE = """path,label,speaker,start,end,split
calls/0001.wav,wütend,anna,,,train
calls/0002.wav,"ruhig, {leise}",ben,0.25,0.75,dev
calls/0002.wav,wütend,ben,1.0,,test
x/😀.flac,wütend,cem,,0.5,TEST
"""


def corpus(folder):
    make_wavs(folder / "calls", ["0001", "0002"], seconds=2.0, rate=8000)
    make_wav(folder / "x/😀.flac", seconds=1.0)
    make_text(folder / "labels.csv", "\ufeff" + TABLE)
    return folder


def test_rows(tmp_path):
    folder = corpus(tmp_path / "c")
    bound = CORPUS.bound_to(folder)
    assert bound.classes == ("ruhig, {leise}", "wütend")
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert {
        u.id: (u.emo, u.spk, u.split, u.start, u.stop, u.duration)
        for u in utterances.values()
    } == {
        "calls__0001": ("wütend", "anna", "train", None, None, 2.0),
        "calls__0002@0.25-0.75": (
            "ruhig, {leise}",
            "ben",
            "valid",
            0.25,
            0.75,
            0.5,
        ),
        "calls__0002@1.0-end": ("wütend", "ben", "test", 1.0, None, 1.0),
        "x__😀@0-0.5": ("wütend", "cem", "test", None, 0.5, 0.5),
    }


def test_two_columns_are_enough(tmp_path):
    folder = corpus(tmp_path)
    make_text(folder / "labels.csv", "label,path\na,calls/0001.wav\n")
    one = parsed(CORPUS, folder)["calls__0001"]
    assert (one.emo_raw, one.spk, one.split) == ("a", "", None)


def test_absolute_and_windows_paths(tmp_path):
    folder = corpus(tmp_path / "c")
    make_text(
        folder / "labels.csv",
        f"path,label\n{folder / 'calls/0001.wav'},a\ncalls\\0002.wav,b\n",
    )
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert sorted(os.path.basename(u.wav) for u in utterances.values()) == [
        "0001.wav",
        "0002.wav",
    ]
    make_text(folder / "labels.csv", "path,label\n/elsewhere/a.wav,a\n")
    with pytest.raises(ManifestError, match="not inside the data root"):
        prepared(CORPUS, folder, tmp_path / "out2")


def test_classes_in_a_given_order(tmp_path):
    folder = corpus(tmp_path)
    make_text(folder / "classes.txt", "wütend\n\nneutral\nruhig, {leise}\n")
    assert CORPUS.bound_to(folder).classes == (
        "wütend",
        "neutral",
        "ruhig, {leise}",
    )
    make_text(folder / "classes.txt", "neutral\nruhig, {leise}\n")
    with pytest.raises(ValueError, match=r"\['wütend'\].*classes.txt"):
        CORPUS.bound_to(folder)
    make_text(folder / "classes.txt", "a\na\n")
    with pytest.raises(ValueError, match="twice"):
        CORPUS.bound_to(folder)


def test_order_of_rows_does_not_matter(tmp_path):
    folder = corpus(tmp_path)
    before = CORPUS.bound_to(folder).classes
    head, *rows = TABLE.strip().split("\n")
    make_text(folder / "labels.csv", "\n".join([head, *rows[::-1]]) + "\n")
    assert CORPUS.bound_to(folder).classes == before


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,emotion\na.wav,b\n", r"\['label'\] are missing"),
        ("path;label\na.wav;b\n", "missing.*path;label"),
        ("path,label,speakr\na.wav,b,c\n", r"unknown columns \['speakr'\]"),
        ("path,label\na.wav,\n", "line 2: no label"),
        ("path,label\n ,b\n", "line 2: no path"),
        ("path,label\na.wav,b,c\n", "line 2: not 2 fields"),
        ("path,label,split\na.wav,b,eval\n", "line 2: split is 'eval'"),
        ("path,label,start\na.wav,b,-1\n", "line 2: '-1' is not a time"),
        ("path,label,end\na.wav,b,nan\n", "line 2: 'nan' is not a time"),
        ("path,label,start\na.wav,b,x\n", "line 2: could not convert"),
        ("path,label,start,end\na.wav,b,2,1\n", "end is 1.0 s, start is 2.0"),
    ],
)
def test_bad_tables(table, message, tmp_path):
    make_text(tmp_path / "labels.csv", table)
    with pytest.raises(ValueError, match=message) as caught:
        parsed(CORPUS, tmp_path)
    assert "labels.csv" in str(caught.value)


def test_no_table(tmp_path):
    with pytest.raises(ValueError, match="no .*labels.csv.*path,label"):
        prepared(CORPUS, tmp_path, tmp_path / "out")


def test_same_row_twice(tmp_path):
    folder = corpus(tmp_path / "c")
    make_text(
        folder / "labels.csv",
        "path,label\ncalls/0001.wav,a\ncalls/0001.wav,b\n",
    )
    with pytest.raises(ManifestError, match="duplicate id 'calls__0001'"):
        prepared(CORPUS, folder, tmp_path / "out")
