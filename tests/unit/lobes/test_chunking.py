"""Computing a few frames at a time changes no number."""

import pytest
import torch

from speechbrain_e2v.lobes import (
    alibi,
    attention,
    block_attention,
    chunking,
    frontend,
    positional,
    transformer,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import ConvFeatureExtractor
from speechbrain_e2v.lobes.lengths import frames_of, receptive_field
from speechbrain_e2v.lobes.positional import GroupedConvBlock


@pytest.fixture
def small_pieces(monkeypatch):
    for module in (attention, frontend, positional, transformer):
        monkeypatch.setattr(module, "FRAMES_ON_CPU", 7)
    monkeypatch.setattr(alibi, "WHOLE_BIAS_ELEMENTS", 0)
    monkeypatch.setattr(block_attention, "BLOCK_BIAS_ELEMENTS", 0)
    monkeypatch.setattr(block_attention, "QUERY_BLOCK", 5)


def whole(function, *arguments):
    """With gradients there is only one piece."""
    with torch.enable_grad():
        return function(*arguments)


def close(ours, expected):
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("samples", [400, 719, 720, 9000, 9123])
def test_front_end(small_pieces, samples):
    torch.manual_seed(0)
    layers = ConvFeatureExtractor(channels=16)
    wav = torch.randn(1, samples)
    close(layers(wav), whole(layers, wav))
    assert layers(wav).shape[1] == frames_of(samples)


@torch.no_grad()
def test_front_end_of_other_sizes(small_pieces):
    kernels, strides = (8, 4, 2), (3, 2, 2)
    torch.manual_seed(0)
    layers = ConvFeatureExtractor(8, kernels, strides)
    wav = torch.randn(2, 501)
    close(layers(wav), whole(layers, wav))
    seen = receptive_field(kernels, strides)
    assert frames_of(seen, kernels, strides) == 1
    assert frames_of(seen - 1, kernels, strides) == 0


@torch.no_grad()
@pytest.mark.parametrize("kernel", [3, 4, 19])
@pytest.mark.parametrize("frames", [1, 6, 23])
def test_positional_convolution(small_pieces, kernel, frames):
    torch.manual_seed(0)
    block = GroupedConvBlock(8, 8, kernel, groups=2)
    x = torch.randn(1, frames, 8)
    close(block(x), whole(block, x))


@torch.no_grad()
@pytest.mark.parametrize("lengths", [None, [1.0, 0.4]])
def test_encoder(small_pieces, lengths):
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
        num_extra_tokens=3, conv_channels=32, pos_conv_groups=4,
    ).eval()  # fmt: skip
    wav = torch.randn(2, 16000)
    lengths = None if lengths is None else torch.tensor(lengths)
    ours = encoder.hidden_states(wav, lengths)
    expected = whole(encoder.hidden_states, wav, lengths)
    assert len(ours) == 3
    for x, y in zip(ours, expected, strict=True):
        close(x, y)


def test_gradients_flow_through_blocks_of_queries(monkeypatch):
    torch.manual_seed(0)
    layer = attention.SelfAttention(8, 2)
    bias = alibi.Alibi(2)(torch.arange(13)[None], num_tokens=2)
    x = torch.randn(1, 15, 8)
    layer(x, bias).square().sum().backward()
    expected = layer.qkv.weight.grad.clone()
    layer.zero_grad()
    monkeypatch.setattr(alibi, "WHOLE_BIAS_ELEMENTS", 0)
    monkeypatch.setattr(block_attention, "QUERY_BLOCK", 4)
    bias = alibi.Alibi(2)(torch.arange(13)[None], num_tokens=2)
    layer(x, bias).square().sum().backward()
    close(layer.qkv.weight.grad, expected)


def test_one_piece_while_a_graph_is_recorded():
    cut = []

    class Probe(torch.nn.Module):
        def forward(self, x):
            cut.append(chunking.time_chunks(1, 100, x.device, 10, 10))
            return x + 1

    with torch.no_grad():
        torch.jit.trace(Probe(), torch.zeros(1), check_trace=False)
        torch.export.export(Probe(), (torch.zeros(1),))
        assert all(one == [(0, 100)] for one in cut) and len(cut) >= 2
        assert (
            len(chunking.time_chunks(1, 100, torch.device("cpu"), 10, 1)) == 10
        )
