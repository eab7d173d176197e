"""`e2v audit --exclude`: a known pair is left out, and said to be."""

import numpy as np
import pytest
import soundfile

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import write_manifest
from speechbrain_e2v.corpora.utterance import Utterance


@pytest.fixture
def manifest(tmp_path):
    """Four clips of two speakers; b is a's audio under another label."""
    rows = []
    for name, seed, label in (("a", 1, "x"), ("b", 1, "y"), ("c", 2, "x"),
                              ("d", 3, "y")):  # fmt: skip
        samples = np.random.default_rng(seed).integers(-99, 99, 800)
        soundfile.write(
            tmp_path / f"{name}.wav", samples.astype(np.int16), 16000
        )
        rows.append(
            Utterance(name, str(tmp_path / f"{name}.wav"), label, spk=name,
                      split="test" if name in "bd" else "train",
                      duration=0.05)
        )  # fmt: skip
    path = tmp_path / "all.json"
    write_manifest(path, rows, tmp_path)
    return str(path)


def test_an_identical_pair_is_found_and_left_out(manifest, capsys):
    assert main(["audit", manifest]) == 1
    assert "WRONG: identical audio: a, b (x/y)" in capsys.readouterr().out
    assert main(["audit", manifest, "--exclude", "b"]) == 0
    shown = capsys.readouterr().out
    assert "note: excluded: b\n" in shown and "identical audio" not in shown
    assert "3 utterances" in shown


def test_an_id_that_is_not_there_is_named(manifest, capsys):
    assert main(["audit", manifest, "--exclude", "b", "bb"]) == 1
    assert "no utterance is called bb; ids are" in capsys.readouterr().err
