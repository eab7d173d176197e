"""`recipes/Synthetic/synthetic_prepare.py`, run as users run it."""

import os
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from speechbrain_e2v.corpora.manifest import read_manifest


@pytest.fixture
def prepare(repository, tmp_path):
    """Runs the script; returns the finished process and the manifest."""

    def run(data_folder):
        manifest = tmp_path / "out" / "all.json"
        script = "recipes/Synthetic/synthetic_prepare.py"
        command = [sys.executable, script, "--data_folder", str(data_folder)]
        done = subprocess.run(
            [*command, "--manifest", str(manifest)],
            cwd=repository,
            env={**os.environ, "PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
        )
        return done, manifest

    return run


def test_manifest_of_a_generated_corpus(prepare, generated_corpus):
    done, manifest = prepare(generated_corpus)
    assert done.returncode == 0, done.stderr
    utterances = {u.id: u for u in read_manifest(manifest)}
    assert len(utterances) == 48
    assert set(Counter(u.emo for u in utterances.values()).values()) == {8}
    one = utterances["s01_a00_sad_0"]
    assert (one.emo, one.spk, one.gender) == ("sad", "s01", "M")
    assert one.extra == {"sentence": "a00"}
    assert one.wav == str(generated_corpus / "wav" / "s01_a00_sad_0.wav")
    assert one.sample_rate == 16000 and 0.99 <= one.duration <= 2.0


def test_a_folder_without_labels_is_named(prepare, tmp_path):
    done, manifest = prepare(tmp_path)
    assert done.returncode == 1
    assert f"no {tmp_path / 'labels.csv'}" in done.stderr
    assert "python -m speechbrain_e2v.corpora.synthetic" in done.stderr
    assert not manifest.exists()


def test_foreign_columns_and_labels_are_named(
    prepare, generated_corpus, tmp_path
):
    folder = tmp_path / "corpus"
    shutil.copytree(generated_corpus, folder)
    labels = folder / "labels.csv"
    text = labels.read_text()
    labels.write_text(text.replace("path,label", "file,emotion"))
    done, _ = prepare(folder)
    assert done.returncode == 1 and "'file', 'emotion'" in done.stderr
    labels.write_text(text.replace(",angry,", ",cross,", 1))
    done, _ = prepare(folder)
    assert done.returncode == 1 and "'cross'" in done.stderr
