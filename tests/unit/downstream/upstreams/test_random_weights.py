"""Architectures by name, at random: without any download."""

import pytest
import torch

from speechbrain_e2v.downstream.upstreams.leaks import measure_leak
from speechbrain_e2v.downstream.upstreams.random_weights import (
    ARCHITECTURES,
    random_upstream,
)

OURS = {"embed_dim": 16, "num_heads": 2, "depth": 1, "conv_channels": 8}
OURS |= {"pos_conv_groups": 4}
HUGGINGFACE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embedding_groups": 2,
}
WHISPER = {
    "d_model": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_attention_heads": 2,
    "max_source_positions": 100,
}


def tiny(name):
    if name.startswith("whisper"):
        return WHISPER
    if name.endswith("wav2vec"):
        return {"width": 16}
    ours = ("emotion2vec", "data2vec2-base", "data2vec-base", "vesper")
    return OURS if name.startswith(ours) else HUGGINGFACE


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture(name):
    pytest.importorskip("transformers")
    state = torch.get_rng_state()
    one, same, other = (
        random_upstream(name, tiny(name), seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert one.digest == same.digest != other.digest
    waveforms = [torch.randn(n) for n in (4000, 6000, 900)]
    assert measure_leak(one, waveforms).as_run < 1e-5
    frames = one.extract(waveforms)
    assert all(x.shape[1] == one.dim == 16 for x in frames)
    assert one.description["architecture_of"] == name
    assert one.description["parameters"] > 1000


def test_sizes_are_those_of_the_paper():
    """Its Table 2 counts the heads of pre-training, too."""
    pytest.importorskip("transformers")
    with torch.device("meta"):
        from transformers import AutoConfig, AutoModel

        from speechbrain_e2v.downstream.upstreams import random_weights

        counts = {}
        for name, (kind, sizes, _) in random_weights._HUGGINGFACE.items():
            config = AutoConfig.for_model(kind, **sizes)
            model = AutoModel.from_config(config)
            if kind == "whisper":
                model = model.get_encoder()
            counts[name] = sum(p.numel() for p in model.parameters()) / 1e6
    paper = {
        "wav2vec2-base": 95.04, "wav2vec2-large": 317.38, "hubert-base": 94.68,
        "hubert-large": 316.61, "wavlm-base": 94.70, "wavlm-base-plus": 94.70,
        "wavlm-large": 316.62,
    }  # fmt: skip
    for name, printed in paper.items():
        assert printed == pytest.approx(counts[name], rel=0.01)
        assert counts[name] < printed
    assert counts["whisper-base"] == pytest.approx(20.59, abs=0.01)


def test_unknown_ones_are_named():
    with pytest.raises(ValueError, match="no architecture wavlm; there are .*"):
        random_upstream("wavlm")
    with pytest.raises(ValueError, match="wavlm has no size width"):
        random_upstream("wavlm-base", {"width": 2})
    with pytest.raises(ValueError, match="sizes of emotion2vec: .*hidden"):
        random_upstream("emotion2vec", {"hidden": 2})
    with pytest.raises(ValueError, match="sizes of wav2vec: "):
        random_upstream("wav2vec", {"hidden": 2})
