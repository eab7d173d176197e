"""Finding models: paths, names, the hub's cache. Never the network."""

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from unit.published.published_tiny import tiny_pair, write_funasr

from speechbrain_e2v.published import hub
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.hub import SourceNotFound, resolve
from speechbrain_e2v.published.load import load_pretrained

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
