"""Text of others: what is refused, and what is spelt out."""

import csv
import io

import pytest

from speechbrain_e2v.files.foreign_text import (
    checked_label,
    csv_cell,
    markdown_cell,
    printable,
    without_local_folders,
)


@pytest.mark.parametrize(
    "label",
    ["sad", "pain, groan", "生气/angry", "<unk>", "ärger", "غم\u200cگین"],
)
def test_labels_of_any_language_pass(label):
    assert checked_label(label) == label


@pytest.mark.parametrize(
    "label",
    ["", " sad", "sad\n", "a\nb", "a => b", "=1", "a\x1b[31m", "a\u2028b",
     "a\u202eb", "a\x00b", "a\udce8b", "\ufeffsad", "x" * 101, "a\x7f"],
)  # fmt: skip
def test_labels_that_something_would_obey_are_refused(label):
    with pytest.raises(ValueError, match=r"class name .*rename") as caught:
        checked_label(label)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


def test_names_of_files_are_spelt_out():
    assert printable("col\udce8re.wav") == "col\\xe8re.wav"
    assert printable("a\rb\u009b1m") == "a\\rb\\x9b1m"
    assert printable("Ärger 生气.wav") == "Ärger 生气.wav"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text):
    file = io.StringIO()
    csv.writer(file).writerow([csv_cell(text), "b"])
    [[cell, _]] = csv.reader(io.StringIO(file.getvalue()))
    assert cell[0] not in "=+-@\t\r"


def test_markdown_reads_as_it_was_written():
    cell = markdown_cell("a|b\n| c | `x` <img> [l](u)")
    assert "\n" not in cell and cell.replace("\\|", "").count("|") == 0
    assert cell.startswith("a\\|b \\| c")
    assert "<" not in cell.replace("\\<", "")


def test_folders_of_the_writer_are_left_out():
    text = "m: [/scratch/a/b.json], o: ~/runs/x; D:\\ann\\y, https://a/b"
    assert without_local_folders(text) == "m: [b.json], o: x; y, https://a/b"
    assert without_local_folders("a/b and / or 1/2") == "a/b and / or 1/2"
