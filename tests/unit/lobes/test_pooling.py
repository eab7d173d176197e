"""Both poolings against a loop over utterances."""

import pytest
import torch

from speechbrain_e2v.lobes.pooling import masked_mean, packed_mean

COUNTS = torch.tensor([5, 1, 7])


def utterances():
    torch.manual_seed(0)
    return [torch.randn(n, 6) for n in COUNTS]


def test_padded_equals_loop_whatever_the_padding_holds():
    pieces = utterances()
    padded = torch.full((3, 9, 6), float("nan"))
    for row, piece in zip(padded, pieces, strict=True):
        row[: len(piece)] = piece
    expected = torch.stack([piece.mean(0) for piece in pieces])
    torch.testing.assert_close(masked_mean(padded, COUNTS), expected)


def test_packed_equals_loop():
    pieces = utterances()
    expected = torch.stack([piece.mean(0) for piece in pieces])
    found = packed_mean(torch.cat(pieces), COUNTS)
    torch.testing.assert_close(found, expected)


def test_padding_gets_no_gradient():
    x = torch.randn(1, 4, 2, requires_grad=True)
    masked_mean(x, torch.tensor([3])).sum().backward()
    assert x.grad[0, 3].abs().sum() == 0
    assert x.grad[0, :3].eq(torch.tensor(1 / 3)).all()


def test_without_counts_every_frame_is_real():
    x = torch.randn(2, 3, 4)
    assert torch.equal(masked_mean(x), x.mean(1))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\[B, T, D\].*\(3, 4\)"):
        masked_mean(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="num_frames"):
        masked_mean(torch.zeros(2, 3, 4), torch.tensor([3]))
    with pytest.raises(ValueError, match="adds up to 3.*5 frames"):
        packed_mean(torch.zeros(5, 4), torch.tensor([1, 2]))
