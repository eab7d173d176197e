"""An upstream for classifiers that hear nothing."""

from collections.abc import Sequence

import torch


class NoFeatures:
    """Gives every utterance the same zero.

    >>> NoFeatures().extract([torch.ones(800)])
    [tensor([0.])]
    """

    dim = 1
    digest = "no features"

    def __init__(self, device: str = "cpu") -> None:
        self.description = {"kind": "no features"}

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """[1] of each waveform [S]."""
        return [torch.zeros(1) for _ in waveforms]
