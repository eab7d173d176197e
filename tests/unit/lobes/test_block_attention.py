"""Attention in blocks against softmax over the same frames."""

import math

import pytest
import torch

from speechbrain_e2v.lobes import alibi as alibi_module
from speechbrain_e2v.lobes import block_attention
from speechbrain_e2v.lobes.alibi import Alibi
from speechbrain_e2v.lobes.attention import attend
from speechbrain_e2v.lobes.block_attention import reach_of
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder


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
def test_blocks_change_nothing(query_block, monkeypatch):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 40, 8)
    bias = Alibi(2)(torch.arange(37)[None], 3, window=6)
    expected = attend(q, k, v, bias)
    monkeypatch.setattr(block_attention, "QUERY_BLOCK", query_block)
    monkeypatch.setattr(block_attention, "BLOCK_BIAS_ELEMENTS", 0)
    ours = attend(q, k, v, bias)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


def attended(tokens, frames=900, loud=None, heads=4):
    """Queries, keys, values and a bias, some heads of which reach few."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, heads, tokens + frames, 8)
    if loud is not None:
        k[:, :, loud] = 40 * q[:, :, tokens + 5]  # calls the sixth frame
    alibi = Alibi(heads)
    alibi.scale.copy_(torch.tensor([1.0, 8.0, 0.0, 20.0][:heads]))
    return q, k, v, alibi(torch.arange(frames)[None], tokens)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [0, 3])
@pytest.mark.parametrize("loud", [None, 850])
def test_what_is_not_reached_has_no_weight(tokens, loud, monkeypatch):
    """Equal to all pairs in float64, though a far key may outweigh near ones.

    The errors are those of float32 arithmetic on all pairs.
    """
    q, k, v, bias = attended(tokens, loud=loud)
    wide = [x.double() for x in (q, k, v)]
    exact = attend(*wide, bias)
    everything = attend(q, k, v, bias)
    monkeypatch.setattr(alibi_module, "WHOLE_BIAS_ELEMENTS", 0)
    ours = attend(q, k, v, bias)
    worst = (everything - exact).abs().max()
    assert (ours - exact).abs().max() < max(2 * worst, 1e-6)
    # In float64 what is left out can be seen, and is small.
    left_out = (attend(*wide, bias) - exact).abs().max()
    assert left_out < 2**-28 * v.abs().max()


@torch.no_grad()
def test_only_what_is_reached_is_read(monkeypatch):
    q, k, v, bias = attended(tokens=3)
    reach = reach_of(q, k, bias, scale=8**-0.5)
    assert reach[1] < reach[0] < reach[3] < 600 and reach[2] == 903
    monkeypatch.setattr(alibi_module, "WHOLE_BIAS_ELEMENTS", 0)
    monkeypatch.setattr(block_attention, "BLOCK_BIAS_ELEMENTS", 0)
    v[:, :, -1] = torch.nan
    finite = attend(q, k, v, bias).isfinite().all(3).all(0)  # [H, L]
    for head, far in enumerate(reach):
        seen = (~finite[head]).nonzero().flatten()
        assert seen[0] == 0, "tokens see every frame"
        first = seen[seen >= 3][0].item()
        assert max(3, 902 - far - block_attention.QUERY_BLOCK) <= first
        assert first <= max(3, 902 - far)


@torch.no_grad()
def test_a_louder_key_is_reached_from_further_away():
    scale = 8**-0.5
    quiet = reach_of(*attended(3)[:2], attended(3)[3], scale)
    loud = reach_of(*attended(3, loud=850)[:2], attended(3)[3], scale)
    assert loud[3] > quiet[3] and loud[1] > quiet[1]


@torch.no_grad()
def test_what_is_no_number_reaches_everywhere():
    q, k, _, bias = attended(0)
    k[0, 1, 7] = torch.nan
    assert reach_of(q, k, bias, 1.0)[1] == 900


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
