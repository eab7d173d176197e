"""WavLM's encoder of the large kind, which Vesper's is too."""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from speechbrain_e2v.lobes.chunking import by_chunks, time_chunks
from speechbrain_e2v.lobes.lengths import (
    CONV_KERNELS,
    CONV_STRIDES,
    frame_mask,
)
from speechbrain_e2v.lobes.relative_bias import (
    DistanceBias,
    GatedSelfAttention,
    RelativePositions,
)
from speechbrain_e2v.lobes.transformer import FRAMES_ON_CPU, FRAMES_ON_GPU
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class PositionalConv(nn.Module):
    """Positions from a wide, weight-normed convolution over time.

    >>> PositionalConv(8, width=6, groups=2)(torch.randn(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, embed_dim: int, width: int, groups: int):
        super().__init__()
        conv = nn.Conv1d(
            embed_dim, embed_dim, width, padding=width // 2, groups=groups
        )
        nn.init.normal_(conv.weight, std=(4 / (width * embed_dim)) ** 0.5)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        self.conv = weight_norm(conv, dim=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, T, D] to [B, T, D]; an even width adds a frame, cut off."""
        convolved = self.conv(x.transpose(1, 2))[..., : x.shape[1]]
        return F.gelu(convolved.transpose(1, 2))


class PreNormBlock(nn.Module):
    """Attention, then MLP, each on normed input and added to it."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
    ):
        super().__init__()
        hidden = int(embed_dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-5)
        self.attention = GatedSelfAttention(
            embed_dim, num_heads, dropout, attention_dropout
        )
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-5)
        self.fc1 = nn.Linear(embed_dim, hidden)
        self.fc2 = nn.Linear(hidden, embed_dim)
        self.activation_dropout = nn.Dropout(activation_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, bias: DistanceBias) -> torch.Tensor:
        """Map [B, T, D] to [B, T, D]."""
        x = x + self.attention(self.norm1(x), bias)
        chunks = time_chunks(
            len(x), x.shape[1], x.device, FRAMES_ON_CPU, FRAMES_ON_GPU
        )
        mlp = by_chunks(lambda start, stop: self._mlp(x[:, start:stop]), chunks)
        return x + self.dropout(mlp)

    def _mlp(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(
            self.activation_dropout(F.gelu(self.fc1(self.norm2(x))))
        )


class WavLMContext(nn.Module):
    """Positions, mask embedding and blocks, above the projected features.

    There is no LayerNorm behind the last block: Vesper has none, and the
    training targets that WavLM gives it are taken in front of its own.

    >>> context = WavLMContext(8, 2, 3, pos_conv_width=4, pos_conv_groups=2)
    >>> [x.shape for x in context(torch.randn(2, 5, 8))][::3]
    [torch.Size([2, 5, 8]), torch.Size([2, 5, 8])]
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        depth: int,
        pos_conv_width: int = 128,
        pos_conv_groups: int = 16,
        num_buckets: int = 320,
        max_distance: int = 800,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
    ):
        super().__init__()
        self.mask_embedding = nn.Parameter(torch.rand(embed_dim))
        self.positional = PositionalConv(
            embed_dim, pos_conv_width, pos_conv_groups
        )
        self.relative = RelativePositions(num_heads, num_buckets, max_distance)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            PreNormBlock(
                embed_dim,
                num_heads,
                mlp_ratio,
                dropout,
                attention_dropout,
                activation_dropout,
            )
            for _ in range(depth)
        )
        self.apply(_initialise)

    @property
    def num_states(self) -> int:
        """How many states it gives: one more than there are blocks."""
        return len(self.blocks) + 1

    def forward(
        self,
        features: torch.Tensor,
        num_frames: torch.Tensor | None = None,
        window: int | None = None,
        masks: Mapping[int, torch.Tensor] | None = None,
    ) -> Iterator[torch.Tensor]:
        """Give what enters the first block, then the output of every block.

        From projected features [B, T, D] and their real frames [B] to [B, T, D]
        each. `masks` [B, T] mark frames in whose place the mask embedding
        enters the block of that index; the state that was given before does
        not have it.
        """
        real = None
        if num_frames is not None:
            real = frame_mask(num_frames, features.shape[1])
            features = features * real.unsqueeze(2)
        bias = self.relative(features.shape[1], real, window)
        x = self.dropout(features + self.positional(features))
        # Not a generator itself: it would keep the features all the time.
        return self._run(x, bias, masks or {})

    frame_states = forward

    def _run(
        self,
        x: torch.Tensor,
        bias: DistanceBias,
        masks: Mapping[int, torch.Tensor],
    ) -> Iterator[torch.Tensor]:
        yield x
        for index, block in enumerate(self.blocks):
            if index in masks:
                embedding = self.mask_embedding.to(x.dtype)
                x = torch.where(masks[index].unsqueeze(2), embedding, x)
            x = block(x, bias)
            yield x


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, RelativePositions):
        nn.init.normal_(module.table, std=0.02)


class WavLMEncoder(WaveformEncoder):
    """WavLM with pre-norm blocks (Chen et al., 2022), and Vesper (2023).

    The defaults are Vesper-4 (63,515,872 parameters); ``depth=12`` is
    Vesper-12, ``depth=24`` WavLM large without its last LayerNorm. `states`
    begins with what enters the first block: layer i is the output of block i,
    counted from 1. WavLM base has another front end and post-norm blocks.

    >>> encoder = WavLMEncoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4).eval()
    >>> wav = torch.randn(2, 16000)
    >>> encoder(wav, torch.tensor([1.0, 0.5])).shape, encoder.num_layers
    (torch.Size([2, 49, 48]), 3)
    """

    context: WavLMContext

    def __init__(
        self,
        embed_dim: int = 1024,
        num_heads: int = 16,
        depth: int = 4,
        mlp_ratio: float = 4.0,
        conv_channels: int = 512,
        conv_kernels: Sequence[int] = CONV_KERNELS,
        conv_strides: Sequence[int] = CONV_STRIDES,
        pos_conv_width: int = 128,
        pos_conv_groups: int = 16,
        num_buckets: int = 320,
        max_distance: int = 800,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.0,
    ):
        super().__init__(locals())
        self.context = WavLMContext(
            embed_dim,
            num_heads,
            depth,
            pos_conv_width,
            pos_conv_groups,
            num_buckets,
            max_distance,
            mlp_ratio,
            dropout,
            attention_dropout,
            activation_dropout,
        )
