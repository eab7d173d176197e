"""Losses of regressions: equal to the formula, and what it promises."""

import numpy as np
import pytest
import torch

from speechbrain_e2v.downstream.regression.losses import (
    OBJECTIVES,
    absolute_error,
    ccc_loss,
    concordance,
    squared_error,
)


def by_formula(predicted, target):
    """Lin's coefficient in numpy, one target."""
    covariance = np.cov(predicted, target, bias=True)
    apart = (np.mean(predicted) - np.mean(target)) ** 2
    return 2 * covariance[0, 1] / (np.trace(covariance) + apart)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    target = 3 + torch.randn(40, 3, generator=generator)
    noise = torch.randn(40, 3, generator=generator)
    predicted = target * torch.tensor([0.5, 1.0, -1.0]) + 0.7 * noise
    return predicted, target


def test_concordance_is_the_formula(batch):
    predicted, target = batch
    expected = [
        by_formula(predicted[:, i].numpy(), target[:, i].numpy())
        for i in range(3)
    ]
    found = concordance(predicted, target)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    assert found[2] < 0 < found[0]
    assert ccc_loss(predicted, target).item() == pytest.approx(
        1 - np.mean(expected), abs=1e-6
    )


def test_what_concordance_promises(batch):
    predicted, target = batch
    value = concordance(predicted, target)
    # symmetric, and blind to one affine map of both, whatever its sign
    assert torch.allclose(concordance(target, predicted), value)
    for scale, shift in ((2.0, -5.0), (-0.5, 1.0)):
        moved = concordance(scale * predicted + shift, scale * target + shift)
        assert torch.allclose(moved, value, atol=1e-5)
    # never above the correlation: scale and shift of one of them cost
    correlation = torch.stack(
        [torch.corrcoef(torch.stack(p))[0, 1]
         for p in zip(predicted.T, target.T, strict=True)]
    )  # fmt: skip
    assert (value.abs() <= correlation.abs() + 1e-6).all()
    assert (concordance(predicted + 1, target).abs() < value.abs() + 0.2).all()
    assert torch.allclose(concordance(target, target), torch.ones(3))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_masked_is_the_rest_alone(batch, name):
    predicted, target = batch
    real = torch.rand(40, 1, generator=torch.Generator().manual_seed(1)) > 0.4
    spoiled = target.masked_fill(~real, float("nan"))
    loss = OBJECTIVES[name]
    found = loss(predicted, spoiled, real.expand(40, 3))
    kept = real[:, 0]
    assert found.item() == pytest.approx(
        loss(predicted[kept], target[kept]).item(), abs=1e-6
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_gradient_reaches_what_is_masked(batch, name):
    predicted, target = batch
    predicted = predicted.clone().requires_grad_()
    real = torch.ones(40, 3, dtype=torch.bool)
    real[:5] = False
    target = target.masked_fill(~real, float("nan"))
    OBJECTIVES[name](predicted, target, real).backward()
    assert (predicted.grad[:5] == 0).all()
    assert (predicted.grad[5:] != 0).any(0).all()
    assert predicted.grad.isfinite().all()


def test_each_target_has_its_own_mask(batch):
    predicted, target = batch
    real = torch.ones(40, 3, dtype=torch.bool)
    real[10:, 1] = False
    found = concordance(predicted, target, real)
    alone = concordance(predicted[:10, 1:2], target[:10, 1:2])
    assert torch.allclose(found[1], alone[0])
    assert torch.equal(found[[0, 2]], concordance(predicted, target)[[0, 2]])
    # a target that is real nowhere leaves the mean to the others
    real[:, 1] = False
    assert ccc_loss(predicted, target, real).item() == pytest.approx(
        ccc_loss(predicted[:, [0, 2]], target[:, [0, 2]]).item()
    )


def test_gradient_is_autograd_of_the_formula(batch):
    predicted, target = (x[:6].double() for x in batch)

    def formula(p):
        left, right = p - p.mean(0), target - target.mean(0)
        total = left.square().mean(0) + right.square().mean(0)
        total = total + (p.mean(0) - target.mean(0)).square()
        return (1 - 2 * (left * right).mean(0) / total).mean()

    ours = predicted.clone().requires_grad_()
    theirs = predicted.clone().requires_grad_()
    ccc_loss(ours, target).backward()
    formula(theirs).backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


@pytest.mark.parametrize(
    ("predicted", "target"),
    [
        ([[2.0], [2.0]], [[2.0], [2.0]]),  # nothing varies, all equal
        ([[2.0], [2.0]], [[1.0], [3.0]]),  # constant prediction
        ([[1.0], [3.0]], [[2.0], [2.0]]),  # constant reference
        ([[1.5]], [[2.0]]),  # one utterance
    ],
)
def test_what_does_not_vary_has_concordance_zero(predicted, target):
    predicted = torch.tensor(predicted, requires_grad=True)
    loss = ccc_loss(predicted, torch.tensor(target))
    loss.backward()
    assert loss.item() == 1.0
    assert predicted.grad.isfinite().all()


def test_errors_by_hand():
    predicted = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    target = torch.tensor([[1.0, 2.0], [4.0, 0.0]])
    assert squared_error(predicted, target).item() == 2.0
    assert absolute_error(predicted, target).item() == 1.0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_refusals(name):
    loss = OBJECTIVES[name]
    with pytest.raises(ValueError, match=r"\(3, 1\) and \(3,\)"):
        loss(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match=r"`real` must be \(3, 1\)"):
        loss(torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(3).bool())
    with pytest.raises(ValueError, match="no target"):
        loss(torch.zeros(3, 1), torch.zeros(3, 1), torch.zeros(3, 1).bool())


def test_half_precision_is_computed_in_single(batch):
    predicted, target = batch
    found = concordance(predicted.bfloat16(), target)
    assert found.dtype == torch.float32
    expected = concordance(predicted.bfloat16().float(), target)
    assert torch.equal(found, expected)
