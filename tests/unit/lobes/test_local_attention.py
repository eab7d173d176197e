"""Windowed attention against softmax over the same frames."""

import math

import pytest
import torch

from speechbrain_e2v.lobes.attention import Alibi, attend
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.local_attention import attend_locally


def naive(q, k, v, weight, window, tokens, real):
    """One head of one utterance, query by query."""
    length, width = q.shape
    rows = []
    for i in range(length):
        scores = torch.full((length,), -math.inf)
        for j in range(length):
            frames = i >= tokens and j >= tokens
            if not real[j] or (frames and abs(i - j) > window):
                continue
            bias = -weight * abs(i - j) if frames else 0.0
            scores[j] = q[i] @ k[j] / math.sqrt(width) + bias
        rows.append(scores.softmax(0) @ v)
    return torch.stack(rows)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [0, 3])
@pytest.mark.parametrize("window", [1, 4, 11])
def test_equals_a_loop(tokens, window):
    torch.manual_seed(0)
    length = tokens + 17
    q, k, v = torch.randn(3, 2, 2, length, 8)
    real = torch.ones(2, length, dtype=torch.bool)
    real[1, tokens + 9 :] = False
    alibi = Alibi(2)
    alibi.scale.copy_(torch.tensor([3.0, 7.0]))
    positions = torch.arange(17)[None]
    ours = attend(q, k, v, alibi(positions, tokens, real, window))
    weight = alibi.slopes * alibi.scale
    for row in range(2):
        for head in range(2):
            expected = naive(
                q[row, head], k[row, head], v[row, head], weight[head],
                window, tokens, real[row],
            )  # fmt: skip
            torch.testing.assert_close(
                ours[row, head][real[row]],
                expected[real[row]],
                atol=1e-5,
                rtol=0,
            )


@torch.no_grad()
@pytest.mark.parametrize("query_block", [1, 5, 64])
def test_blocks_change_nothing(query_block):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 40, 8)
    bias = Alibi(2)(torch.arange(37)[None], 3, window=6)
    expected = attend_locally(q, k, v, bias, 0.5, query_block=7)
    ours = attend_locally(q, k, v, bias, 0.5, query_block)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_encoder_with_a_wide_window_is_exact():
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=48, num_heads=4, prenet_depth=1, depth=1,
        conv_channels=32, pos_conv_groups=4,
    ).eval()  # fmt: skip
    wav = torch.randn(2, 16000)
    lengths = torch.tensor([1.0, 0.5])
    *_, exact = encoder.states(wav, lengths)
    *_, wide = encoder.states(wav, lengths, window=49)
    *_, narrow = encoder.states(wav, lengths, window=2)
    torch.testing.assert_close(wide, exact, atol=1e-5, rtol=0)
    assert (narrow - exact).abs().max() > 1e-3
