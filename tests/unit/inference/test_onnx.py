"""The ONNX file gives what the model gives, for any batch and length."""

import json

import pytest
import torch
from unit.inference.tiny import noise, tiny_trained

from speechbrain_e2v.inference import onnx as ours


@pytest.fixture(scope="module")
def trained():
    return tiny_trained()


@pytest.fixture(scope="module")
def session(trained, tmp_path_factory):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert ours.export_onnx(trained, path) < 1e-4
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(str(path), options)


@pytest.mark.parametrize(
    "lengths", [[400], [16000, 9001, 5003], [3000, 50000, 400, 719], [100000]]
)
def test_padded_batches_are_equal(session, trained, lengths):
    wav = torch.full((len(lengths), max(lengths)), 5.0)  # loud padding
    for row, length in enumerate(lengths):
        wav[row, :length] = torch.from_numpy(noise(length, row))
    samples = torch.tensor(lengths)
    posteriors, embedding = session.run(
        None, {"waveform": wav.numpy(), "lengths": samples.numpy()}
    )
    for row, length in enumerate(lengths):
        expected, mean = trained.log_posteriors([wav[row, :length]])
        torch.testing.assert_close(
            torch.from_numpy(posteriors[row]), expected[0].exp(),
            atol=1e-4, rtol=0,
        )  # fmt: skip
        torch.testing.assert_close(
            torch.from_numpy(embedding[row]), mean[0], atol=1e-4, rtol=0
        )


def test_labels_are_in_the_metadata(session):
    meta = session.get_modelmeta().custom_metadata_map
    assert json.loads(meta["labels"]) == [
        "anger",
        "happiness",
        "sadness",
    ]
    assert json.loads(meta["published_labels"])[1] == "happiness"
    assert (meta["sample_rate"], meta["min_samples"]) == ("16000", "400")


def test_a_missing_package_is_named(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "_NEEDED", ("no_such_package",))
    with pytest.raises(ValueError, match=r"no_such_package.*\[onnx\]"):
        ours.export_onnx(trained, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
