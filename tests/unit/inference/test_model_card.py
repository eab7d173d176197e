"""Cards of what others wrote are tables, and show what they say."""

import re

import pytest
import yaml
from unit.inference.tiny import tiny_trained

from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)

HOSTILE = "x|y\n\n# z <script>alert(1)</script> [a](javascript:b)"


def tables(text):
    """Cells of each table row."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]


@pytest.mark.parametrize("key", ["name", "origin", "licence", "licence_notice"])
def test_text_of_others_stays_text(tmp_path, key):
    trained = tiny_trained(("a|b", "c`d", "<e>"))
    trained.about["encoder_card"][key] = HOSTILE
    folder = write_classifier(tmp_path / "a", trained)
    header, body = (folder / "README.md").read_text("utf-8").split("---\n")[1:3]
    assert yaml.safe_load(header)["library_name"] == "speechbrain"
    assert "<script>" not in body.replace("\\<", "")
    assert "\n# z" not in body
    assert all(len(row) == 4 for row in tables(body))
    assert [row[1].strip() for row in tables(body)[2:]] == [
        "a\\|b", "c\\`d", "\\<e\\>",
    ]  # fmt: skip
    assert [x.text for x in read_classifier(folder).labels] == [
        "a|b", "c`d", "<e>",
    ]  # fmt: skip


def test_folders_of_the_writer_are_not_published(tmp_path):
    trained = tiny_trained()
    trained.about["encoder_card"]["origin"] = "/scratch/ann/runs/base.pt"
    folder = write_classifier(tmp_path / "a", trained)
    text = (folder / "README.md").read_text("utf-8")
    assert "* origin: base.pt\n" in text and "ann" not in text.split("---")[2]
