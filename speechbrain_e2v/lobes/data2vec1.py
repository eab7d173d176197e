"""data2vec v1 audio encoder: waveform in, frame features out."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from speechbrain_e2v.lobes.alibi import AttentionBias
from speechbrain_e2v.lobes.lengths import (
    CONV_KERNELS,
    CONV_STRIDES,
    frame_mask,
)
from speechbrain_e2v.lobes.positional import RelativePositionalConv
from speechbrain_e2v.lobes.transformer import Block, run_blocks
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class Data2vec1Encoder(WaveformEncoder):
    """The Transformer of data2vec v1 (Baevski et al., 2022), released sizes.

    No ALiBi, no extra tokens, no prenet: positions are convolved, added and
    normalised, then come post-norm blocks. The defaults are base (93.16 M
    parameters). The released code lets padding into the positional
    convolution; here an utterance never hears it.

    >>> encoder = Data2vec1Encoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 48])
    """

    def __init__(
        self,
        embed_dim: int = 768,
        num_heads: int = 12,
        depth: int = 12,
        mlp_ratio: float = 4.0,
        conv_channels: int = 512,
        conv_kernels: Sequence[int] = CONV_KERNELS,
        conv_strides: Sequence[int] = CONV_STRIDES,
        pos_conv_width: int = 95,
        pos_conv_depth: int = 5,
        pos_conv_groups: int = 16,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.0,
        layerdrop: float = 0.05,
    ) -> None:
        super().__init__(locals())
        self.num_heads = num_heads
        self.num_layers = depth
        self.positional = RelativePositionalConv(
            embed_dim, pos_conv_width, pos_conv_depth, pos_conv_groups
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-5)
        self.input_dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation_dropout=activation_dropout,
                post_mlp_dropout=dropout,
            )
            for _ in range(depth)
        )
        self.layerdrop = layerdrop

    def encode(
        self,
        local: torch.Tensor,
        num_frames: torch.Tensor | None,
        window: int | None,
    ) -> Iterator[torch.Tensor]:
        """Yield the output of block after block."""
        real = None
        if num_frames is not None:
            real = frame_mask(num_frames, local.shape[1])
        return (state for state, _ in self.run_blocks(local, real, window))

    def run_blocks(
        self,
        x: torch.Tensor,
        real: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Add positions to frames [B, T, D] and run the blocks.

        `real` [B, T] is False at padding. Yields output and MLP output of
        every block, [B, T, D] each.
        """
        zeroing = None if real is None else real.unsqueeze(2)
        x = self.norm(x + self.positional(x, zeroing))
        x = self.input_dropout(x)
        # Distances that weigh nothing: attention as it is, in bounded memory.
        frames = torch.arange(x.shape[1], device=x.device)[None]
        bias = AttentionBias(
            x.new_zeros(self.num_heads), frames, 0, real, window
        )
        rates = [self.layerdrop] * len(self.blocks)
        yield from run_blocks(self.blocks, rates, x, bias)
