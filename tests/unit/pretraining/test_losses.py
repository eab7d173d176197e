"""Losses and schedules against plain loops."""

import math

import pytest
import torch

from speechbrain_e2v.pretraining.losses import (
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.masking import block_masks, mask_layout
from speechbrain_e2v.pretraining.schedules import cosine_with_warmup, ema_decay


def test_frame_loss_equals_naive_loop():
    mask = block_masks([20, 20], [[1, 2], [3, 4]])
    layout = mask_layout(mask)
    targets = torch.randn(2, 20, 6)
    prediction = torch.randn(4, 10, 6)
    ours = frame_loss(prediction, masked_targets(targets, layout)).sum()
    total = 0.0
    for b in range(2):
        for k in range(2):
            for m, t in enumerate(mask[b, k].nonzero().flatten().tolist()):
                error = 0.0
                for d in range(6):
                    difference = prediction[2 * b + k, m, d] - targets[b, t, d]
                    error += difference.item() ** 2
                total += error / math.sqrt(6)
    assert ours.item() == pytest.approx(total, rel=1e-5)


def test_fillers_cost_nothing():
    real = torch.tensor([[True, False]])
    loss = frame_loss(torch.ones(1, 2, 4), torch.zeros(1, 2, 4), real)
    assert loss.tolist() == [[2.0, 0.0]]


def test_utterance_predictions():
    tokens, visible = torch.randn(3, 4, 5), torch.randn(3, 7, 5)
    torch.testing.assert_close(
        utterance_prediction(tokens, visible, kind="token"), tokens[:, 3]
    )
    chunk = sum(tokens[:, i] for i in range(4)) / 4
    torch.testing.assert_close(utterance_prediction(tokens, visible), chunk)
    real = torch.arange(7)[None] < torch.tensor([[7], [3], [1]])
    ours = utterance_prediction(tokens, visible, real, "global")
    for row, count in enumerate([7, 3, 1]):
        torch.testing.assert_close(ours[row], visible[row, :count].mean(0))


def test_utterance_loss_repeats_the_target_for_every_clone():
    prediction, target = torch.randn(4, 9), torch.randn(2, 9)
    ours = utterance_loss(prediction, target)
    for row in range(4):
        error = (prediction[row] - target[row // 2]).square().sum() / 3
        assert ours[row].item() == pytest.approx(error.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["token", "chunk"])
def test_tokens_are_needed(kind):
    with pytest.raises(ValueError, match="num_extra_tokens"):
        utterance_prediction(
            torch.zeros(1, 0, 2), torch.zeros(1, 3, 2), None, kind
        )


def test_losses_are_fp32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        prediction = torch.nn.Linear(8, 8)(torch.randn(2, 3, 8))
        assert prediction.dtype == torch.bfloat16
        assert (
            frame_loss(prediction, torch.randn(2, 3, 8)).dtype == torch.float32
        )


def test_schedules():
    assert cosine_with_warmup(0, 1.0, 10, 100) == 0
    assert cosine_with_warmup(10, 1.0, 10, 100) == 1
    assert cosine_with_warmup(55, 1.0, 10, 100) == pytest.approx(0.5)
    assert cosine_with_warmup(100, 1.0, 10, 100) == 0
    assert ema_decay(1, 0.5, 0.7, 2) == pytest.approx(0.6)
    assert ema_decay(2, 0.5, 0.7, 2) == ema_decay(99, 0.5, 0.7, 2) == 0.7
