"""Votes in manifests: counted, written, read, refused."""

import json

import pytest

from speechbrain_e2v.corpora.manifest import (
    ManifestError,
    read_manifest,
    write_manifest,
)
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import parse_votes


def test_manifest_keeps_counts_and_counts_rows(tmp_path):
    votes = {"sad": 2, "{odd}": 1}
    rows = [Utterance("a", "a.wav", votes=votes), Utterance("b", "b.wav")]
    path = write_manifest(tmp_path / "m.json", rows, tmp_path)
    assert [u.votes for u in read_manifest(path)] == [votes, {}]
    content = json.loads(path.read_text("utf-8"))
    assert "votes" not in content["b"]
    content["b"]["votes"] = [["E1", "sad"], ["E2", "sad"], ["E2", "angry"]]
    path.write_text(json.dumps(content))
    assert read_manifest(path)[1].votes == {"angry": 1, "sad": 2}


@pytest.mark.parametrize(
    "votes", [{"sad": -1}, {"sad": 1.5}, {"sad": "E1"}, [["E1", 2]], "sad"]
)
def test_manifest_refuses_other_votes(votes, tmp_path):
    path = write_manifest(
        tmp_path / "m.json", [Utterance("a", "a.wav")], tmp_path
    )
    content = json.loads(path.read_text("utf-8"))
    content["a"]["votes"] = votes
    path.write_text(json.dumps(content))
    with pytest.raises(ManifestError, match="row 'a'"):
        read_manifest(path)


@pytest.mark.parametrize("text", ["sad", "sad:x", ":2", "sad:1;sad:2", "a:-1"])
def test_cells_that_are_no_votes(text):
    with pytest.raises(ValueError, match="votes are"):
        parse_votes(text)
