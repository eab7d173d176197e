"""Marks about what an encoder has heard, and the commit."""

import subprocess

import pytest

from speechbrain_e2v.downstream.provenance import commit, heard_caveats

UNKNOWN = ["what the encoder heard in pretraining is not fully known"]


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (None, []),
        ({}, UNKNOWN),
        ({"pretraining": {"EmoDB": 0.4, "FSDD": 1}}, "pretraining"),
        ({"pretraining": {"FSDD": 1}}, []),
        ({"pretraining": {"FSDD": 1, "": 2.0}}, UNKNOWN),
        ({"pretraining": {"FSDD": 1}, "initialised_from": "x"}, UNKNOWN),
        ({"pretraining": ["FSDD"], "finetuning": {"emodb": 1}}, "finetuning"),
        ({"pretraining": "EmoDB"}, "pretraining"),
    ],
)
def test_marks(card, expected):
    if isinstance(expected, str):
        expected = [f"the encoder heard EmoDB in {expected}"]
    assert heard_caveats(card, "EmoDB") == expected


def test_part_of_a_corpus_counts():
    card = {"pretraining": {"RAVDESS": 1.0}}
    assert heard_caveats(card, "RAVDESS-Speech")


def test_commit_is_this_checkouts(repository):
    done = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    assert commit() is not None
    assert commit().rstrip("+") == done.stdout.strip()
