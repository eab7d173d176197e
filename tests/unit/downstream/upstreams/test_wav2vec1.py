"""wav2vec and vq-wav2vec from files as fairseq writes them."""

import argparse

import numpy as np
import pytest
import torch

from speechbrain_e2v.downstream.upstreams.leaks import measure_leak
from speechbrain_e2v.downstream.upstreams.wav2vec1 import wav2vec1
from speechbrain_e2v.published.wav2vec1_layout import read_wav2vec1

NAMES = (
    "wav2vec1_tiny",
    "vqw2v_gumbel_tiny",
    "vqw2v_gumbel_combined_tiny",
    "vqw2v_kmeans_tiny",
)


@pytest.fixture
def file(golden, tmp_path):
    def write(name, **change):
        state = golden(f"{name}_state.safetensors")
        plain = name.startswith("wav2vec1")
        args = argparse.Namespace(
            activation="relu" if plain else "gelu",
            log_compression=plain,
            arch="wav2vec",
        )
        path = tmp_path / f"{name}.pt"
        torch.save({"args": args, "model": {**state, **change}}, path)
        return path

    return write


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_s3prls(name, file, golden):
    path, arrays = file(name), golden(name)
    audio = arrays["utt0/audio_int16"].astype(np.float32) / 32768
    for layer in (0, 5, -1):
        upstream = wav2vec1(path, layer)
        (found,) = upstream.extract([torch.from_numpy(audio)])
        key = f"utt0/s3prl_hidden_{layer % 13}"
        if key in arrays:
            expected = torch.from_numpy(arrays[key])[0]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    context = torch.from_numpy(arrays["utt0/c_BTC"])[0]
    torch.testing.assert_close(found, context, atol=1e-4, rtol=0)
    assert upstream.description["layers"] == 13


def test_padding_would_leak_and_does_not(file):
    clips = [torch.randn(n) for n in (3000, 9000, 5000)]
    leak = measure_leak(wav2vec1(file("wav2vec1_tiny"), "all"), clips)
    assert leak.as_run == 0 and leak.padded > 0.1


def test_a_file_has_more_than_features_need(file, golden):
    state = golden("wav2vec1_tiny_state.safetensors")
    net, in_file = read_wav2vec1(file("wav2vec1_tiny"))
    assert in_file == sum(value.numel() for value in state.values())
    said = wav2vec1(file("wav2vec1_tiny")).description
    assert said["parameters"] < said["parameters_with_prediction"] == in_file
    assert said["parameters"] == sum(p.numel() for p in net.parameters())
    assert said["card"]["name"] == "unknown"  # a small one is another


def test_other_files_are_refused(file, tmp_path):
    one = "feature_aggregator.conv_layers.3.1.weight"
    with pytest.raises(ValueError, match="conv_layers.3.1"):
        read_wav2vec1(
            file("wav2vec1_tiny", **{one: torch.zeros(16, 16, 1)[:8]})
        )
    with pytest.raises(ValueError, match="extra"):
        read_wav2vec1(file("wav2vec1_tiny", extra=torch.zeros(2)))
    torch.save({"model": {"x": torch.zeros(2)}}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="no file of wav2vec or vq-wav2vec"):
        read_wav2vec1(tmp_path / "x.pt")
