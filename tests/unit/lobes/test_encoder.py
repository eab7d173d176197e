"""The encoder against plain loops; needs no reference vectors."""

import math

import pytest
import torch
import torch.nn.functional as F

from speechbrain_e2v.lobes import alibi as alibi_module
from speechbrain_e2v.lobes import attention, block_attention
from speechbrain_e2v.lobes.alibi import Alibi, alibi_slopes
from speechbrain_e2v.lobes.attention import attend
from speechbrain_e2v.lobes.context import ContextEncoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import ConvLayer, normalise_waveform
from speechbrain_e2v.lobes.lengths import (
    frames_of,
    relative_to_samples,
)


def tiny_encoder(**changes):
    torch.manual_seed(0)
    sizes = {
        "embed_dim": 48,
        "num_heads": 4,
        "prenet_depth": 1,
        "depth": 2,
        "num_extra_tokens": 3,
        "conv_channels": 32,
        "pos_conv_groups": 4,
    }
    encoder = Emotion2vecEncoder(**{**sizes, **changes}).eval()
    with torch.no_grad():
        encoder.context.alibi.scale.uniform_(0.5, 1.5)
    return encoder


@pytest.mark.parametrize("kernel, stride", [(10, 5), (3, 2), (2, 2)])
@pytest.mark.parametrize("frames", [12, 13])
def test_conv_layer_equals_conv1d(kernel, stride, frames):
    channels = 1 if kernel == 10 else 4
    layer = ConvLayer(channels, 6, kernel, stride)
    x = torch.randn(3, frames, channels)
    expected = F.conv1d(x.transpose(1, 2), layer.weight, stride=stride)
    expected = F.gelu(layer.norm(expected.transpose(1, 2)))
    torch.testing.assert_close(layer(x), expected)


def naive_attention(module, x, positions, weight, num_tokens):
    """Attention of one utterance, head by head, score by score."""
    length, width = x.shape
    heads = module.num_heads
    size = width // heads
    qkv = module.qkv(x).view(length, 3, heads, size)
    outputs = []
    for head in range(heads):
        q, k, v = (qkv[:, i, head] for i in range(3))
        scores = torch.empty(length, length)
        for i in range(length):
            for j in range(length):
                bias = 0.0
                if i >= num_tokens and j >= num_tokens:
                    distance = abs(
                        positions[i - num_tokens] - positions[j - num_tokens]
                    )
                    bias = -weight[head] * distance
                scores[i, j] = q[i] @ k[j] / math.sqrt(size) + bias
        outputs.append(scores.softmax(1) @ v)
    return module.proj(torch.cat(outputs, 1))


@torch.no_grad()
def test_attention_equals_naive_loop():
    module = attention.SelfAttention(8, 2).eval()
    alibi = Alibi(2)
    alibi.scale.copy_(torch.tensor([1.5, -1.0]))  # negative: clamped to 0
    weight = [alibi_slopes(2)[0] * 1.5, 0.0]
    positions = torch.tensor([[0, 3, 4, 9], [1, 2, 5, 6]])
    x = torch.randn(2, 6, 8)
    ours = module(x, alibi(positions, num_tokens=2))
    for row in range(2):
        naive = naive_attention(module, x[row], positions[row], weight, 2)
        torch.testing.assert_close(ours[row], naive, atol=1e-5, rtol=0)


@torch.no_grad()
def test_query_blocks_change_nothing(monkeypatch):
    q, k, v = torch.randn(3, 2, 4, 37, 8)
    real = torch.arange(37)[None] < torch.tensor([[37], [20]])
    bias = Alibi(4)(torch.arange(34)[None], 3, real)
    whole = attend(q, k, v, bias)
    monkeypatch.setattr(alibi_module, "WHOLE_BIAS_ELEMENTS", 0)
    monkeypatch.setattr(block_attention, "QUERY_BLOCK", 5)
    blocks = attend(q, k, v, bias)
    torch.testing.assert_close(blocks, whole, atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [0, 3])
def test_batch_equals_single(tokens):
    encoder = tiny_encoder(num_extra_tokens=tokens)
    samples = torch.tensor([9000, 400, 5003, 719, 8999])
    wav = torch.zeros(5, 9000)
    for row, count in zip(wav, samples, strict=True):
        row[:count] = torch.randn(count)
    wav = normalise_waveform(wav, samples)
    batch = encoder.hidden_states(wav, samples / 9000)
    for row, count in enumerate(samples):
        single = encoder.hidden_states(wav[row : row + 1, :count])
        frames = frames_of(int(count))
        for ours, alone in zip(batch, single, strict=True):
            assert alone.shape[1] == frames
            torch.testing.assert_close(
                ours[row, :frames], alone[0], atol=1e-5, rtol=0
            )
            assert ours[row, frames:].abs().sum() == 0


@torch.no_grad()
def test_padding_may_hold_anything():
    encoder = tiny_encoder()
    wav = torch.randn(2, 6000)
    lengths = torch.tensor([1.0, 0.5])
    clean = encoder(wav, lengths)
    wav[1, 3000:] = 1e4
    torch.testing.assert_close(encoder(wav, lengths), clean)


def test_no_bias_per_utterance(monkeypatch):
    """A padded batch shares one [1, H, L, L] bias."""
    shapes = []
    original = F.scaled_dot_product_attention

    def spy(q, k, v, mask, *args, **kwargs):
        shapes.append((tuple(mask.shape), mask.stride(0)))
        return original(q, k, v, mask, *args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    tiny_encoder()(torch.randn(3, 4000), torch.tensor([1.0, 0.7, 0.4]))
    assert shapes and all(stride == 0 for _, stride in shapes)


def test_too_short_is_an_error():
    with pytest.raises(ValueError, match="399 samples"):
        tiny_encoder()(torch.randn(1, 399))


def test_exact_lengths_where_truncation_loses_a_sample():
    samples = torch.arange(400, 16001, 7)
    lengths = samples.float() / 16000
    assert torch.equal(relative_to_samples(lengths, 16000), samples)
    truncated = (lengths * 16000).long()
    assert not torch.equal(truncated, samples)  # SpeechBrain's usual way


def test_skipped_layer_gives_zero_gradients():
    context = ContextEncoder(8, 2, 1, 1, 2, pos_conv_groups=2, layerdrop=1.0)
    *_, (output, _) = context.train()(torch.randn(2, 5, 8))
    output.square().sum().backward()
    for parameter in context.blocks[1].parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() == 0
    assert context.blocks[0].fc1.weight.grad.abs().sum() > 0


def test_config_rebuilds_the_encoder():
    encoder = tiny_encoder()
    again = Emotion2vecEncoder(**encoder.config)
    again.load_state_dict(encoder.state_dict())
    wav = torch.randn(1, 4000)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(wav), encoder(wav))


@pytest.mark.parametrize(
    "sizes, parameters",
    [({}, 93_171_212), ({"embed_dim": 1024, "num_heads": 16}, 162_130_960)],
)
def test_published_parameter_counts(sizes, parameters):
    with torch.device("meta"):
        encoder = Emotion2vecEncoder(**sizes)
    assert sum(p.numel() for p in encoder.parameters()) == parameters


def test_bf16_autocast_stays_close():
    encoder = tiny_encoder()
    wav = normalise_waveform(torch.randn(1, 8000))
    with torch.no_grad():
        exact = encoder(wav)
        with torch.autocast("cpu", torch.bfloat16):
            rough = encoder(wav).float()
    cosine = F.cosine_similarity(exact.mean(1), rough.mean(1)).item()
    assert cosine > 0.999


def test_distances_survive_a_cast_to_bfloat16():
    """bfloat16 holds integers up to 256 only; frames go on behind it."""
    bias = Alibi(1).to(torch.bfloat16)(torch.arange(3000)[None], 1)
    some = slice(2901, 3001)
    index = torch.arange(2900.0, 3000.0)
    expected = (index[:, None] - index[None, :]).abs() * -(2**-8)
    ours = bias.between(slice(None), some, some)[0, 0, :, 1:]
    assert torch.equal(ours, expected)
