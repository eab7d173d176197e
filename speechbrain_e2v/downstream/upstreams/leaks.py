"""Whether a clip's features depend on what it is batched with: measured."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from speechbrain_e2v.downstream.upstreams import Upstream


class Leak(NamedTuple):
    """Largest differences between clips in a batch and the same alone.

    ``padded`` is what a padded batch would do, ``as_run`` what is done here;
    ``size`` the largest number among the features, to compare with.
    """

    padded: float
    as_run: float
    size: float


def measure_leak(upstream: Upstream, waveforms: Sequence[torch.Tensor]) -> Leak:
    """Compute clips [S] one by one, together, and padded.

    >>> from speechbrain_e2v.downstream.upstreams.mfcc import MfccStatistics
    >>> clips = [torch.ones(900), torch.ones(700)]
    >>> measure_leak(MfccStatistics(), clips).as_run
    0.0
    """
    alone = [upstream.extract([waveform])[0] for waveform in waveforms]
    together = upstream.extract(waveforms)
    padded = together
    if hasattr(upstream, "padded"):
        padded = upstream.padded(waveforms)
    return Leak(
        _largest(padded, alone),
        _largest(together, alone),
        max(float(x.abs().max()) for x in alone),
    )


def _largest(
    batch: Sequence[torch.Tensor], alone: Sequence[torch.Tensor]
) -> float:
    """Difference over the frames that a clip alone has."""
    return max(
        float((one[: len(other)] - other).abs().max())
        for one, other in zip(batch, alone, strict=True)
    )
