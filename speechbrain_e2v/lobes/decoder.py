"""Convolutional decoder: from visible frames to the masked ones."""

import torch
from torch import nn

from speechbrain_e2v.lobes.positional import GroupedConvBlock


class ConvDecoder(nn.Module):
    """Grouped convolutions over time (paper section 3.1, released sizes).

    From the second block on, a block's input is added to its output. Input and
    prediction are `embed_dim` wide. `initial_scale` is a factor on the initial
    weights of the last layer: at 1 (released) a fresh student first learns to
    predict nothing, by crushing the encoder's output; 0 starts from there and
    spares the encoder.

    >>> decoder = ConvDecoder(8, channels=4, groups=2)
    >>> decoder.proj(decoder(torch.randn(2, 5, 8))).shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int = 768,
        channels: int = 384,
        kernel: int = 7,
        num_layers: int = 4,
        groups: int = 16,
        initial_scale: float = 1.0,
    ):
        super().__init__()
        widths = [embed_dim] + [channels] * num_layers
        self.blocks = nn.ModuleList(
            GroupedConvBlock(widths[i], widths[i + 1], kernel, groups)
            for i in range(num_layers)
        )
        self.proj = nn.Linear(channels, embed_dim)
        with torch.no_grad():
            self.proj.weight.mul_(initial_scale)
            self.proj.bias.mul_(initial_scale)

    def forward(
        self, x: torch.Tensor, real: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map [B, T, D] to [B, T, channels]; `proj` is left to the caller.

        Only masked frames are predicted, so only they need projecting.
        `real` ([B, T, 1], optional) is 0 at padding.
        """
        for block in self.blocks:
            y = block(x, real)
            x = x + y if x.shape == y.shape else y
        return x
