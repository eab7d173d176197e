"""Relative positional convolution (released data2vec 2.0 audio behaviour)."""

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.chunking import by_chunks, time_chunks

FRAMES_ON_CPU = 1024
FRAMES_ON_GPU = 2**15


class GroupedConvBlock(nn.Module):
    """Length-keeping grouped convolution, LayerNorm without affine, GELU.

    >>> GroupedConvBlock(8, 4, kernel=7, groups=4)(torch.randn(2, 5, 8)).shape
    torch.Size([2, 5, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, groups: int
    ):
        super().__init__()
        self.conv = nn.Conv1d(
            in_channels,
            out_channels,
            kernel,
            padding=kernel // 2,
            groups=groups,
        )

    def forward(
        self, x: torch.Tensor, real: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map [B, T, C_in] to [B, T, C_out].

        `real` ([B, T, 1], optional) is 0 at padding: it is zeroed before the
        convolution, so that an utterance never hears its padding.
        """
        if real is not None:
            x = x * real
        frames = x.shape[1]
        chunks = time_chunks(
            len(x), frames, x.device, FRAMES_ON_CPU, FRAMES_ON_GPU
        )
        if len(chunks) == 1:
            x = self.conv(x.transpose(1, 2))[..., :frames].transpose(1, 2)
            return _activate(x)
        return by_chunks(
            lambda start, stop: self._frames(x, start, stop), chunks
        )

    def _frames(self, x: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Output frames start..stop, from these and their neighbours."""
        conv, frames = self.conv, x.shape[1]
        (kernel,) = conv.kernel_size
        first = start - kernel // 2
        last = stop + kernel - 1 - kernel // 2
        window = x[:, max(first, 0) : last].transpose(1, 2)
        window = F.pad(window, (max(-first, 0), max(last - frames, 0)))
        window = F.conv1d(window, conv.weight, conv.bias, groups=conv.groups)
        return _activate(window.transpose(1, 2))


def _activate(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(F.layer_norm(x, x.shape[-1:], eps=1e-5))


class RelativePositionalConv(nn.Module):
    """Stack of grouped convolutions whose output is added to its input.

    Padding is zeroed before each of the convolutions. The released code does
    not do so, which makes its batches differ from single utterances. `width`
    is in frames over all layers; a layer's kernel is max(3, width // depth).

    >>> conv = RelativePositionalConv(8, width=95, depth=5, groups=4)
    >>> conv(torch.randn(2, 49, 8)).shape
    torch.Size([2, 49, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        width: int = 95,
        depth: int = 5,
        groups: int = 16,
    ):
        super().__init__()
        kernel = max(3, width // depth)
        self.blocks = nn.ModuleList(
            GroupedConvBlock(embed_dim, embed_dim, kernel, groups)
            for _ in range(depth)
        )

    def forward(
        self, x: torch.Tensor, real: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map [B, T, D] to [B, T, D]; `real` [B, T, 1] is 0 at padding."""
        for block in self.blocks:
            x = block(x, real)
        return x
