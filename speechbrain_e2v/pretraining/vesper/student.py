"""Vesper's student: one encoder, two masks, three predictions."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.wavlm import WavLMEncoder


class VesperOutput(NamedTuple):
    """What losses and health log need of one forward."""

    low: torch.Tensor
    """[small-masked frames, D], predicted from the middle of the blocks."""
    high: torch.Tensor
    """[large-masked frames, D], predicted from the last block."""
    cross: torch.Tensor
    """[B, T, D], predicted from the last block, too: all frames."""
    middle: torch.Tensor
    """[B, T, D], before the large mask is written into it."""
    last: torch.Tensor
    """[B, T, D]."""


class Predictor(nn.Sequential):
    """LayerNorm without parameters, Linear, GELU, Linear.

    >>> sum(p.numel() for p in Predictor(1024, 1024).parameters())
    1050112
    """

    def __init__(self, embed_dim: int, target_dim: int):
        first = nn.Linear(embed_dim, embed_dim // 2)
        second = nn.Linear(embed_dim // 2, target_dim)
        super().__init__(first, nn.GELU(), second)
        for layer in (first, second):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [..., D] to [..., target_dim]."""
        return super().forward(F.layer_norm(x, x.shape[-1:]))


class VesperStudent(nn.Module):
    """Encoder and predictors behind one forward: one unit for DDP.

    The mask embedding stands in place of small spans where the first block
    begins, and in place of large spans where the upper half does. The
    convolutions are frozen (released behaviour). `target_dim` is the
    teacher's width, the encoder's if None.

    >>> encoder = WavLMEncoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4)
    >>> student = VesperStudent(encoder)
    >>> mask = torch.arange(49).expand(2, -1) < 8
    >>> output = student(torch.randn(2, 16000), None, mask, mask)
    >>> output.low.shape, output.cross.shape
    (torch.Size([16, 48]), torch.Size([2, 49, 48]))
    """

    def __init__(self, encoder: WavLMEncoder, target_dim: int | None = None):
        super().__init__()
        depth = encoder.config["depth"]
        if depth % 2 or not depth:
            raise ValueError(
                f"depth is {depth}: Vesper has two halves, give an even number"
            )
        self.encoder = encoder
        self.encoder.frontend.requires_grad_(False)
        width = encoder.embed_dim
        self.target_dim = width if target_dim is None else target_dim
        self.low = Predictor(width, self.target_dim)
        self.high = Predictor(width, self.target_dim)
        self.cross = Predictor(width, self.target_dim)

    def forward(
        self,
        wav: torch.Tensor,
        num_frames: torch.Tensor | None,
        small: torch.Tensor,
        large: torch.Tensor,
    ) -> VesperOutput:
        """Predict from normalised waveforms [B, S], padding zero.

        `num_frames` [B] are the real ones where rows are padded; `small` and
        `large` [B, T] are True where a frame is hidden.
        """
        encoder = self.encoder
        with torch.no_grad():
            conv = encoder.frontend(wav)
        local = encoder.projection(conv)
        middle = encoder.config["depth"] // 2
        states = list(
            encoder.context(local, num_frames, masks={0: small, middle: large})
        )
        return VesperOutput(
            self.low(states[middle][small]),
            self.high(states[-1][large]),
            self.cross(states[-1]),
            states[middle],
            states[-1],
        )
