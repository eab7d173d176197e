"""Features of others: looked up by id, checked, cached by content."""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.upstreams.precomputed import Precomputed
from speechbrain_e2v.inference.feature_store import write_features

FRAMES = {"a": torch.rand(5, 3), "b": torch.rand(2, 3), "c": torch.rand(1, 3)}


@pytest.fixture
def rows(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(8000), 16000)
    path = str(tmp_path / "x.wav")
    return [Utterance(name, path, duration=0.5) for name in "ba"]


def test_frames_of_npz_and_store_are_the_same(rows, tmp_path):
    arrays = {name: value.numpy() for name, value in FRAMES.items()}
    np.savez(tmp_path / "x.npz", **arrays)
    folder = write_features(tmp_path / "store", FRAMES.items())
    for vectors in (tmp_path / "x.npz", folder):
        upstream = Precomputed(vectors)
        assert upstream.dim == 3
        store = cached_features(tmp_path, upstream, rows, progress=False)
        for name in "ab":
            found = torch.from_numpy(np.array(store.utterance(name)))
            assert torch.equal(found, FRAMES[name])


def test_ids_and_vectors(rows, tmp_path):
    path = tmp_path / "x.npz"
    values = np.arange(6.0).reshape(3, 2)
    np.savez(path, ids=["c", "b", "a"], vectors=values)
    upstream = Precomputed(path, "OpenL3")
    store = cached_features(tmp_path, upstream, rows, progress=False)
    assert store.utterance("a").tolist() == [[4.0, 5.0]]
    assert upstream.description["kind"] == "vectors of OpenL3"
    before = upstream.digest
    np.savez(path, ids=["c", "b", "a"], vectors=values + 1)
    assert Precomputed(path).digest != before


def test_what_is_wrong_is_named(rows, tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(ValueError, match="no file or folder .*x.npz"):
        Precomputed(path)
    path.write_text("hello")
    with pytest.raises(ValueError, match="no npz of plain arrays"):
        Precomputed(path)
    for arrays, message in (
        ({"a": np.zeros(2), "b": np.zeros(3)}, "of one width D"),
        ({"a": np.zeros((2, 2, 2))}, "of one width D"),
        ({"ids": ["a"], "vectors": np.zeros((2, 2))}, "expected .U."),
        ({"ids": ["a", "a"], "vectors": np.zeros((2, 2))}, "twice"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=message):
            Precomputed(path)
    np.savez(path, a=[1.0, np.nan])
    with pytest.raises(ValueError, match="a is not finite"):
        Precomputed(path).look_up(["a"])
    with pytest.raises(ValueError, match="nothing of the utterance b"):
        Precomputed(path).look_up(["b"])
