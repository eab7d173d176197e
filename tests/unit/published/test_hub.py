"""Finding models: paths, names, the hub's cache, servers of this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from unit.files.loopback_origin import Origin
from unit.inference.loopback_hub import COMMIT as HUB_COMMIT
from unit.inference.loopback_hub import LoopbackHub
from unit.published.published_tiny import (
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v.published import hub, known_checkpoints
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.hub import SourceNotFound, resolve
from speechbrain_e2v.published.known_checkpoints import known_checkpoint
from speechbrain_e2v.published.load import load_pretrained, read_sizes

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Record what would be downloaded."""
    made = []

    def download(repository, **options):
        made.append((repository, options))
        if options["local_files_only"]:
            raise LocalEntryNotFoundError("nothing")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return made


def test_paths_come_first(tmp_path, monkeypatch, calls):
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve("owner/name").samefile(folder)
    assert not calls


def test_hub_ids_names_and_revisions(tmp_path, calls):
    for source in (
        "emotion2vec/emotion2vec_base@v1.0",
        "hf://someone/model",
        "iic/emotion2vec_plus_large",
        "emotion2vec_plus_seed",
    ):
        assert resolve(source) == tmp_path
    asked = [(repository, o["revision"]) for repository, o in calls]
    assert asked == [
        ("emotion2vec/emotion2vec_base", "v1.0"),
        ("someone/model", None),
        ("emotion2vec/emotion2vec_plus_large", None),
        ("emotion2vec/emotion2vec_plus_seed", None),
    ]
    assert all(not o["local_files_only"] for _, o in calls)


@pytest.mark.parametrize("source", ["/no/such/file.pt", "model.pt", "a/b/c"])
def test_what_can_only_be_a_path_is_never_downloaded(source, calls):
    with pytest.raises(SourceNotFound, match="no file or folder"):
        resolve(source)
    assert not calls


@pytest.mark.parametrize("switch", ["argument", "environment"])
def test_offline_says_what_to_do(switch, calls, monkeypatch):
    if switch == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceNotFound) as error:
        resolve("someone/model", local_files_only=switch == "argument")
    assert calls[0][1]["local_files_only"]
    for advice in ("switched off", "hf download someone/model", "HF_HUB_OFF"):
        assert advice in str(error.value)


def test_a_model_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    """huggingface_hub itself, on a cache laid out as it does."""
    cache = tmp_path / "hub"
    entry = cache / "models--emotion2vec--emotion2vec_plus_base"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text(COMMIT)
    write_funasr(entry / "snapshots" / COMMIT, tiny_pair()[0], NINE_TOKENS)
    real = huggingface_hub.snapshot_download

    def in_this_cache(*args, **options):
        assert options["local_files_only"]
        return real(*args, **options | {"cache_dir": cache})

    monkeypatch.setattr(hub.huggingface_hub, "snapshot_download", in_this_cache)
    source = "emotion2vec/emotion2vec_plus_base"
    encoder, card = load_pretrained(source, local_files_only=True)
    assert encoder.embed_dim == 48
    assert card["source"] == source
    assert card["labels"][4] == "neutral"
    # The name alone proves nothing: these are not its sizes.
    assert card["name"] == "unknown"


def test_not_in_the_cache(tmp_path):
    with pytest.raises(SourceNotFound, match="not in the cache"):
        resolve("someone/model", local_files_only=True, cache_dir=tmp_path)


@pytest.fixture
def origin(tmp_path, monkeypatch):
    """A server that has `data2vec2-base`, here a tiny one."""
    server = Origin()
    student, teacher = tiny_pair(num_extra_tokens=0)
    path = write_fairseq(tmp_path / "x.pt", student, teacher)
    server.content = path.read_bytes()
    server.digest = weights_digest(student.encoder)
    tiny = replace(
        known_checkpoint(["data2vec2-base"]), url=server.url, embed_dim=48
    )
    monkeypatch.setattr(known_checkpoints, "KNOWN", (tiny,))
    real, assets = huggingface_hub.cached_assets_path, tmp_path / "assets"
    monkeypatch.setattr(
        huggingface_hub,
        "cached_assets_path",
        lambda *names, **_: real(*names, assets_dir=assets),
    )
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield server
    server.close()


def test_data2vec2_base_is_the_published_file():
    known = known_checkpoint(["data2vec2-base"])
    assert known is known_checkpoint(["base_libri"])
    assert known.url.endswith("/fairseq/data2vec2/base_libri.pt")
    assert known.url in known.origin


def test_a_known_name_is_downloaded_once_and_resumed(origin, monkeypatch):
    origin.break_after = [10_000]
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    encoder, card = load_pretrained("data2vec2-base")
    assert weights_digest(encoder) == origin.digest
    assert origin.asked == [None, "bytes=10000-"]
    assert card["name"] == "data2vec2_base_libri"
    assert card["source"] == "data2vec2-base"
    digest = hashlib.sha256(origin.content).hexdigest()
    assert card["source_sha256"] == digest
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert read_sizes("data2vec2-base") == encoder.config
    assert len(origin.asked) == 2


def test_a_download_that_changed_afterwards_is_refused(origin):
    path = resolve("data2vec2-base")
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not what was downloaded") as error:
        resolve("data2vec2-base")
    assert str(path) in str(error.value)


def test_a_known_name_without_a_connection(origin):
    with pytest.raises(SourceNotFound, match="downloads are switched off") as e:
        resolve("data2vec2-base", local_files_only=True)
    assert origin.url in str(e.value)
    assert not origin.asked
    origin.statuses = [404]
    with pytest.raises(SourceNotFound, match="answers 404.*by hand"):
        resolve("data2vec2-base")
    assert origin.asked == [None]


LOAD = """
import json, sys
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained
encoder, card = load_pretrained("ann/plus")
print(json.dumps([weights_digest(encoder), card]))
"""


def test_from_a_hub_and_then_from_its_cache(tmp_path):
    student = tiny_pair()[0]
    folder, _ = write_funasr(tmp_path / "plus", student, NINE_TOKENS)
    server = LoopbackHub()
    server.repositories["ann/plus"] = {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    env = os.environ | {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    found = []
    try:
        for offline in ("0", "1"):
            done = subprocess.run(
                [sys.executable, "-c", LOAD],
                env=env | {"HF_HUB_OFFLINE": offline},
                capture_output=True,
                text=True,
                check=True,
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
            if offline == "0":
                server.shutdown()
                server.server_close()
    finally:
        server.shutdown()
        thread.join()
    digest, card = found[0]
    assert found[1] == found[0]
    assert digest == weights_digest(student.encoder)
    assert card["source_revision"] == HUB_COMMIT
    assert card["source"] == "ann/plus"
