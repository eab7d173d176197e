"""Vectors from encoders and files, and what is learned from training rows."""

import numpy as np
import pytest
import torch

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.conversation.vectors import (
    ReducedVectors,
    SpeechVectors,
    UtteranceVectors,
    VectorFile,
    VectorFiles,
    fit_scaling,
)
from speechbrain_e2v.inference.feature_store import write_features

ROWS = [Utterance(n, f"{n}.wav", dialog="d", text=n) for n in ("u2", "u1")]


def of(values, reduce_to=None):
    return UtteranceVectors(np.asarray(values, np.float32), {}, "", reduce_to)


def test_files_in_any_order(tmp_path):
    values = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "a.npz", ids=["u1", "x", "u2"], vectors=values)
    np.save(tmp_path / "b.npy", values)
    (tmp_path / "b.ids.txt").write_text("u1\nx\nu2\n")
    expected = [[4.0, 5.0], [0.0, 1.0]]
    paths = [tmp_path / "a.npz", tmp_path / "b.npy"]
    digests = set()
    for path in paths:
        loaded = VectorFile(path).load(ROWS, None, "cpu")
        assert loaded.values.tolist() == expected
        digests.add(loaded.digest)
    assert len(digests) == 1
    joined = VectorFiles(paths).load(ROWS, None, "cpu")
    assert joined.values.tolist() == [row * 2 for row in expected]
    assert joined.description["kind"] == "vectors of a.npz, vectors of b.npy"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": ["u1"], "vectors": [[1.0]]},
         "no vector of 1 of 2 utterances, such as u2 of dialogue d"),
        ({"ids": ["u1", "u2"], "vectors": [[1.0], [np.nan]]},
         "vector of u2 .dialogue d. is not finite"),
        ({"ids": ["u1", "u1"], "vectors": [[1.0], [2.0]]}, "twice"),
        ({"ids": ["u1", "u2"], "vectors": [1.0, 2.0]}, r"vectors \[2\]"),
        ({"ids": ["u1", "u2"]}, "plain arrays ids and vectors"),
    ],
)  # fmt: skip
def test_bad_files(arrays, message, tmp_path):
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(ValueError, match=f"v.npz.*{message}"):
        VectorFile(tmp_path / "v.npz").load(ROWS, None, "cpu")


def test_pickles_are_not_read(tmp_path):
    objects = np.array([{"a": 1}, {"b": 2}], dtype=object)
    np.savez(tmp_path / "v.npz", ids=["u1", "u2"], vectors=objects)
    with pytest.raises(ValueError, match="v.npz is no npz"):
        VectorFile(tmp_path / "v.npz").load(ROWS, None, "cpu")


def test_missing_files(tmp_path):
    with pytest.raises(ValueError, match="no file of vectors .*v.npz"):
        VectorFile(tmp_path / "v.npz").load(ROWS, None, "cpu")
    np.save(tmp_path / "v.npy", np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"needs .*v.ids.txt beside it"):
        VectorFile(tmp_path / "v.npy").load(ROWS, None, "cpu")
    with pytest.raises(ValueError, match="no files"):
        VectorFiles(None).load(ROWS, None, "cpu")


def test_speech_is_the_mean_over_frames(tmp_path, monkeypatch):
    class Upstream:
        description = {"kind": "x"}

        def __init__(self, device):
            assert device == "cpu"

    frames = {"u1": torch.rand(3, 2), "u2": torch.rand(5, 2)}
    folder = write_features(tmp_path / "store", frames.items())
    from speechbrain_e2v.downstream.conversation import vectors
    from speechbrain_e2v.inference.feature_store import FeatureStore

    monkeypatch.setattr(
        vectors, "cached_features", lambda *_: FeatureStore(folder)
    )
    loaded = SpeechVectors(Upstream).load(ROWS, tmp_path, "cpu")
    expected = [frames[u.id].mean(dim=0).numpy() for u in ROWS]
    np.testing.assert_allclose(loaded.values, expected, rtol=1e-6)


def test_scaling_knows_the_training_rows_alone():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((40, 6)) * [1, 2, 3, 4, 5, 0] + 7
    rows = list(range(30))
    for dim in (None, 3):
        scaling = fit_scaling(of(values, dim), rows)
        changed = values.copy()
        changed[30:] = 1e6
        again = fit_scaling(of(changed, dim), rows)
        for one, other in zip(vars(scaling), vars(again), strict=True):
            np.testing.assert_array_equal(
                getattr(scaling, one), getattr(again, other)
            )
        scaled = scaling(of(values).values)
        assert scaled.shape == (40, dim or 6) and np.isfinite(scaled).all()
        np.testing.assert_allclose(scaled[:30].mean(axis=0), 0, atol=1e-5)
        deviation = scaled[:30].std(axis=0)
        np.testing.assert_allclose(deviation[:3], 1, atol=1e-5)
    constant = fit_scaling(of(values), rows)(of(values).values)[:, 5]
    np.testing.assert_array_equal(constant, 0)


def test_reduction_is_by_principal_components():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((50, 5)) @ rng.standard_normal((5, 5))
    scaled = fit_scaling(of(values, 2), range(50))(of(values).values)
    centred = of(values).values - of(values).values.mean(axis=0)
    left, _, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * np.sqrt(50)
    sign = np.sign((scaled * expected).sum(axis=0))
    np.testing.assert_allclose(scaled, expected * sign, atol=2e-3)


def test_too_many_components(tmp_path):
    with pytest.raises(ValueError, match="3 training utterances .* 4 princ"):
        fit_scaling(of(np.zeros((9, 6)), 4), [0, 1, 2])
    np.savez(tmp_path / "v.npz", ids=["u1", "u2"], vectors=np.zeros((2, 3)))
    source = ReducedVectors(VectorFile(tmp_path / "v.npz"), 4)
    with pytest.raises(ValueError, match="3 numbers cannot be reduced to 4"):
        source.load(ROWS, None, "cpu")
    kept = ReducedVectors(VectorFile(tmp_path / "v.npz"), None)
    assert kept.load(ROWS, None, "cpu").dim == 3
