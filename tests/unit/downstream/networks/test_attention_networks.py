"""DST, MSTR and Query2Emo: padding, cutting, naive loops, bad sizes."""

import math

import pytest
import torch

from speechbrain_e2v.downstream.networks.dst import Dst, window_weights
from speechbrain_e2v.downstream.networks.mstr import FractalAttention, Mstr
from speechbrain_e2v.downstream.networks.query2emo import Query2Emo

DIM, CLASSES, HEADS = 16, 3, 4
LENGTHS = (37, 5, 1, 40)


def networks():
    torch.manual_seed(3)
    dst = Dst(DIM, CLASSES, length=40, hidden=24, layers=2, heads=HEADS)
    for layer in dst.layers:  # windows that differ from frame to frame
        torch.nn.init.normal_(layer.attention.offset_duration.weight)
    mstr = Mstr(DIM, CLASSES, 2, HEADS, 24, scales=3, pool=2, window=6)
    torch.nn.init.normal_(mstr.blocks[0].attention.mixer)
    return {
        "dst": dst,
        "mstr": mstr,
        "query2emo": Query2Emo(DIM, CLASSES, HEADS, hidden=24),
    }


@pytest.fixture(params=["dst", "mstr", "query2emo"])
def network(request):
    return networks()[request.param].eval()


def utterances():
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(n, DIM, generator=generator) for n in LENGTHS]


@torch.no_grad()
def test_what_an_utterance_is_batched_with_is_nothing(network):
    each = utterances()
    counts = torch.tensor(LENGTHS)
    alone = torch.cat([network(x[None]) for x in each])
    packed = network.packed(torch.cat(each), counts)
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=0)
    filled = torch.full((len(each), 45, DIM), 1e4)
    for row, x in zip(filled, each, strict=True):
        row[: len(x)] = x
    found = network(filled, counts)
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
    assert alone.std(dim=0).min() > 1e-3, "utterances differ"


def test_every_weight_learns(network):
    network.train()
    logits = network.packed(torch.cat(utterances()), torch.tensor(LENGTHS))
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@torch.no_grad()
def test_dst_hears_its_first_frames():
    dst = networks()["dst"].eval()
    long = torch.randn(1, 60, DIM)
    torch.testing.assert_close(dst(long), dst(long[:, :40]))
    found = dst(long, torch.tensor([60]))
    torch.testing.assert_close(found, dst(long[:, :40]))


def test_bounds_inside_one_frame():
    """Both bounds may meet at a frame: each takes its distance."""
    one = torch.tensor
    factors, inside = window_weights(one(2.0), one(2.0), one(2.0), 4)
    assert factors.tolist() == [1, 1, 2, 1]
    assert inside.tolist() == [False, False, True, False]
    factors, inside = window_weights(one(2.5), one(2.25), one(2.75), 5)
    expected = [1, 1, 1 + 0.5 - 0.25, 1 + 0.5 - 0.25, 1]
    assert factors.tolist() == pytest.approx(expected)
    assert inside.tolist() == [False, False, True, True, False]


def naive_fractal(attention, states, scales, pool, window):
    """Frame by frame, window by window, one utterance [T, D]."""
    parts = attention.qkv(states).chunk(3, dim=1)
    shares = attention.mixer.exp() / attention.mixer.exp().sum(dim=0)
    mixed = torch.zeros_like(states)
    for scale in range(scales):
        if scale:
            parts = [
                torch.stack(
                    [x[i : i + pool].mean(0) for i in range(0, len(x), pool)]
                )
                for x in parts
            ]
        queries, keys, values = (
            x.unflatten(1, (HEADS, -1)) for x in parts
        )  # [T, H, d]
        for frame in range(len(states)):
            place = frame // pool**scale
            first = place // window * window
            for head in range(HEADS):
                near = slice(first, first + window)
                logits = keys[near, head] @ queries[place, head]
                logits = logits / math.sqrt(DIM // HEADS)
                heard = logits.softmax(dim=0) @ values[near, head]
                columns = slice(head * DIM // HEADS, (head + 1) * DIM // HEADS)
                mixed[frame, columns] += shares[scale, columns] * heard
    return attention.output(mixed)


@torch.no_grad()
@pytest.mark.parametrize(
    ("scales", "pool", "window"), [(3, 2, 6), (2, 3, 4), (1, 2, 50)]
)
def test_fractal_attention_is_a_loop_over_windows(scales, pool, window):
    torch.manual_seed(4)
    attention = FractalAttention(DIM, HEADS, scales, pool, window, 0.1).eval()
    torch.nn.init.normal_(attention.mixer)
    each = utterances()
    batch = torch.nn.utils.rnn.pad_sequence(each, batch_first=True)
    found = attention(batch, torch.tensor(LENGTHS))
    for row, states in zip(found, each, strict=True):
        expected = naive_fractal(attention, states, scales, pool, window)
        torch.testing.assert_close(
            row[: len(states)], expected, atol=1e-5, rtol=1e-4
        )


@torch.no_grad()
def test_query2emo_has_a_query_for_each_class():
    network = networks()["query2emo"].eval()
    (frames, *_) = utterances()
    states = network.encoder(frames[None])
    one_by_one = [
        network.decoder(network.queries[None, [i]], states)
        for i in range(CLASSES)
    ]
    # The queries see each other, so that one alone is another vector.
    together = network.decoder(network.queries[None], states)
    assert not torch.allclose(torch.cat(one_by_one, dim=1), together)
    torch.testing.assert_close(
        network(frames[None]), network.output(together.flatten(1))
    )


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="of 10 numbers .* by 4 heads"):
        Mstr(10, CLASSES, heads=4)
    with pytest.raises(ValueError, match="length is 25 frames"):
        Dst(DIM, CLASSES, length=25)
    with pytest.raises(ValueError, match="positions is 'learned'; there are"):
        Dst(DIM, CLASSES, positions="learned")
    with pytest.raises(ValueError, match="frozen noise has 2000 rows"):
        Dst(DIM, CLASSES, length=2001, positions="frozen_noise")
