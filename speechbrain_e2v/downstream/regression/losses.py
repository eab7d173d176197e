"""Losses of regressions: concordance, squared and absolute error.

Predictions and targets are [N, n]: N utterances, n targets such as arousal,
valence and dominance. ``real`` [N, n] is False where there is no target; what
stands there is never looked at.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_TINY = 1e-8  # far below any variance of ratings


def concordance(
    predicted: Tensor, target: Tensor, real: Tensor | None = None
) -> Tensor:
    """Concordance correlation coefficient of each target (Lin, 1989).

    ``2 cov / (var + var + (difference of means)^2)`` with variances over N.

    [n], in [-1, 1], fp32. Exactly 0, with finite gradients, where nothing
    varies and where nothing is real.

    Raises ValueError when the shapes are not alike.

    >>> target = torch.tensor([[1.0], [2.0], [3.0]])
    >>> concordance(target, target), concordance(4 - target, target)
    (tensor([1.]), tensor([-1.]))
    """
    predicted, target, weight, count = _weighted(predicted, target, real)
    centres = [(x * weight).sum(0) / count for x in (predicted, target)]
    left, right = (
        (x - centre) * weight
        for x, centre in zip((predicted, target), centres, strict=True)
    )
    covariance = (left * right).sum(0) / count
    spread = (left.square() + right.square()).sum(0) / count
    apart = (centres[0] - centres[1]).square()
    return 2 * covariance / (spread + apart + _TINY)


def ccc_loss(
    predicted: Tensor, target: Tensor, real: Tensor | None = None
) -> Tensor:
    """One minus the concordance, mean over the targets.

    Scalar in [0, 2]. Targets without a real value do not count.

    Raises ValueError when nothing is real.

    >>> target = torch.tensor([[1.0], [2.0], [3.0]])
    >>> ccc_loss(target.flip(0), target).item()
    2.0
    """
    loss = 1 - concordance(predicted, target, real)
    if real is None:
        return loss.mean()
    there = real.any(0)
    _refuse_nothing(there)
    return loss[there].mean()


def squared_error(
    predicted: Tensor, target: Tensor, real: Tensor | None = None
) -> Tensor:
    """Mean squared error over all real values.

    Scalar, in squared units of the targets.

    Raises ValueError when nothing is real.
    """
    return _mean(torch.square, predicted, target, real)


def absolute_error(
    predicted: Tensor, target: Tensor, real: Tensor | None = None
) -> Tensor:
    """Mean absolute error over all real values.

    Scalar, in units of the targets.

    Raises ValueError when nothing is real.
    """
    return _mean(torch.abs, predicted, target, real)


OBJECTIVES = {"ccc": ccc_loss, "mse": squared_error, "mae": absolute_error}
"""Losses by the name that a yaml gives under ``objective``."""


def _mean(
    penalty: Callable[[Tensor], Tensor],
    predicted: Tensor,
    target: Tensor,
    real: Tensor | None,
) -> Tensor:
    predicted, target, weight, _ = _weighted(predicted, target, real)
    if real is not None:
        _refuse_nothing(real)
    return penalty((predicted - target) * weight).sum() / weight.sum()


def _weighted(
    predicted: Tensor, target: Tensor, real: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if predicted.shape != target.shape or predicted.dim() != 2:
        raise ValueError(
            "`predicted` and `target` must both be [N, n], but are "
            f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        )
    predicted, target = predicted.float(), target.float()
    if real is None:
        real = torch.ones_like(target, dtype=torch.bool)
    if real.shape != target.shape:
        raise ValueError(
            f"`real` must be {tuple(target.shape)} like the targets, but is "
            f"{tuple(real.shape)}"
        )
    # Filled, not multiplied: absent targets may be nan.
    predicted = predicted.masked_fill(~real, 0.0)
    target = target.masked_fill(~real, 0.0)
    weight = real.to(target)
    return predicted, target, weight, weight.sum(0).clamp(min=1)


def _refuse_nothing(real: Tensor) -> None:
    if not bool(real.any()):
        raise ValueError("no target of this batch is real; leave it out")
