"""Label files: finding the one, reading tables, editions, own classes."""

from dataclasses import replace

import pytest

from speechbrain_e2v.corpora.corpus import Corpus, compare, count
from speechbrain_e2v.corpora.folders import drop_nested_copies, find_file
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.utterance import Utterance


def test_find_file(tmp_path):
    with pytest.raises(ValueError, match="no a.csv below it; it comes with X"):
        find_file(tmp_path, "a.csv", "X")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.csv").touch()
    (tmp_path / "._a.csv").touch()
    assert find_file(tmp_path, "a.csv", "X") == tmp_path / "deep/a.csv"
    (tmp_path / "A.csv").touch()
    with pytest.raises(ValueError, match="2 times .A.csv, deep/a.csv"):
        find_file(tmp_path, "a.csv", "X")


def test_nested_copies_keep_the_shallowest(tmp_path):
    for name in ("x/y/1.wav", "z/1.wav", "a/b/c/2.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("same")
    found = [("x/y/1.wav", 1), ("z/1.wav", 2), ("a/b/c/2.wav", 3)]
    assert drop_nested_copies(found, tmp_path) == [
        ("a/b/c/2.wav", 3),
        ("z/1.wav", 2),
    ]
    (tmp_path / "x/y/1.wav").write_text("another")
    with pytest.raises(ValueError, match="x/y/1.wav.*4 and 7 bytes"):
        drop_nested_copies(found, tmp_path)


def test_read_table_keeps_quoted_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        '\ufefffile,text\na,"one, ""two""\nthree {x}"\nb,😀\n', "utf-8"
    )
    assert list(read_table(path, ["file", "text"])) == [
        (3, {"file": "a", "text": 'one, "two"\nthree {x}'}),
        (4, {"file": "b", "text": "😀"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"\['file'\] are missing"),
        (b"file,b\n1\n", "line 2: not 2 fields"),
        (b"file,b\n1,2\n1,2,3\n", "line 3: not 2 fields"),
        (b"file,b\n\xff\xfe,1\n", "not UTF-8"),
        (b"file,b\n\n", "no row"),
    ],
)
def test_bad_tables_are_named(content, message, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"t.csv.*{message}"):
        list(read_table(path, ["file"]))


def test_parts_are_counted_and_compared():
    rows = [
        Utterance("a", "a.wav", split="train"),
        Utterance("b", "b.wav", split="test"),
        Utterance("c", "c.wav"),
    ]
    assert count(rows)["per_split"] == {"test": 1, "train": 1}
    assert compare({"per_split": {"train": 2, "test": 1}}, count(rows)) == [
        ("split train", 2, 1)
    ]


def test_own_classes():
    own = Corpus("Own", "", (), {}, read_labels=lambda folder: ["b", "a"])
    bound = own.bound_to("x")
    assert bound.classes == ("b", "a")
    assert bound.label_map == {"a": "a", "b": "b"}
    fixed = replace(own, read_labels=None)
    assert fixed.bound_to("x") is fixed
