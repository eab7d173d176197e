"""A folder goes to a hub on this machine, or to a folder, and comes back."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
import torch
from unit.inference.loopback_hub import LoopbackHub
from unit.inference.tiny import tiny_trained

from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.publish import publish

PULL = """
import json, sys, torch
from speechbrain_e2v.inference import EmotionClassifier
classifier = EmotionClassifier.from_pretrained("ann/emotions", "cpu")
wav = torch.sin(torch.arange(8000) / 9)
print(json.dumps(classifier.classify([wav])[0].scores))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("publish") / "mine"
    return write_classifier(place, tiny_trained())


@pytest.fixture
def hub(monkeypatch):
    server = LoopbackHub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_TOKEN", server.token)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_to_a_hub_and_back(hub, folder, tmp_path):
    address = publish(folder, "ann/emotions", private=True, endpoint=hub.url)
    assert address.startswith(f"{hub.url}/ann/emotions/")
    files = hub.repositories["ann/emotions"]
    for path in folder.iterdir():
        if path.name != "README.md":
            assert files[path.name] == path.read_bytes()
    card = files["README.md"].decode()
    assert 'from_hparams(source="ann/emotions")' in card
    assert card.startswith("---\nlibrary_name: speechbrain\n")
    assert hub.private["ann/emotions"] in (True, "private")
    done = subprocess.run(
        [sys.executable, "-c", PULL],
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0",
             "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    wav = torch.sin(torch.arange(8000) / 9)
    expected, _ = tiny_trained().log_posteriors([wav])
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found.values()) == pytest.approx(
        expected[0].exp().tolist(), abs=1e-6
    )


def test_a_refusal_says_how_to_log_in(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PermissionError, match="hf auth login"):
        publish(folder, "ann/emotions", endpoint=hub.url)
    assert not hub.repositories


def test_a_hub_that_is_not_there_is_named(folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"{address} cannot be"):
            publish(folder, "ann/emotions", endpoint=address)


def test_to_a_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert publish(folder, "./copy") == "copy"
    wav = torch.sin(torch.arange(500) / 9)
    copied, _ = read_classifier("copy").log_posteriors([wav])
    expected, _ = read_classifier(folder).log_posteriors([wav])
    assert torch.equal(copied, expected)
    assert sorted(os.listdir("copy")) == sorted(os.listdir(folder))
    with pytest.raises(FileExistsError, match="--overwrite"):
        publish(folder, "./copy")
    publish(folder, "./copy", overwrite=True)


def test_nothing_is_passed_on_as_it_is(folder, tmp_path, hub):
    """Code that somebody put into the folder does not leave it."""
    hostile = write_classifier(tmp_path / "hostile", tiny_trained())
    yaml = hostile / "hyperparams.yaml"
    yaml.write_text(yaml.read_text() + "evil: !apply:os.system [touch x]\n")
    (hostile / "extra.py").write_text("import os")
    (hostile / "README.md").write_text("<script>")
    publish(hostile, "ann/emotions", endpoint=hub.url)
    publish(hostile, str(tmp_path / "copy"))
    files = hub.repositories["ann/emotions"]
    assert set(files) == {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        if path.name != "README.md":
            assert files[path.name] == path.read_bytes()
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()
    assert b"<script>" not in files["README.md"]


def test_nothing_broken_is_published(tmp_path, hub):
    broken = write_classifier(tmp_path / "broken", tiny_trained())
    (broken / "classifier.ckpt").unlink()
    with pytest.raises((OSError, ValueError), match=r"classifier\.ckpt"):
        publish(broken, "ann/emotions", endpoint=hub.url)
    with pytest.raises(FileNotFoundError, match="no classifier folder"):
        publish(tmp_path, "ann/emotions", endpoint=hub.url)
    assert not hub.repositories


def test_a_target_must_be_a_hub_id_or_a_path(folder):
    with pytest.raises(ValueError, match="neither a hub id"):
        publish(folder, "somewhere")
