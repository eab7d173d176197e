"""Vesper's three losses: hierarchical, and across layers."""

import torch
import torch.nn.functional as F

from speechbrain_e2v.pretraining.vesper.student import VesperOutput


def vesper_losses(
    output: VesperOutput,
    low_target: torch.Tensor,
    high_target: torch.Tensor,
    small: torch.Tensor,
    large: torch.Tensor,
    counted: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Mean squared errors, ``low``, ``high`` and ``cross`` (paper section 3.3).

    Targets [B, T, D] are the frozen teacher's: a layer half way up for "low",
    at small-masked frames, and for "cross", at all frames; its last one for
    "high", at large-masked frames. `counted` [B, T] says which frames "cross"
    is a mean over (None: all, padding included, as released).
    """
    error = (output.cross.float() - low_target).square().mean(2)
    if counted is not None:
        error = error[counted]
    return {
        "low": F.mse_loss(output.low.float(), low_target[small]),
        "high": F.mse_loss(output.high.float(), high_target[large]),
        "cross": error.mean(),
    }
