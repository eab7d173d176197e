"""Context encoder: positions, extra tokens and all Transformer blocks.

It is everything above the projected local features, hence exactly the part
that the EMA teacher copies.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from speechbrain_e2v.lobes.alibi import Alibi, NoAlibi
from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.lobes.positional import RelativePositionalConv
from speechbrain_e2v.lobes.transformer import Block, run_blocks


class ContextEncoder(nn.Module):
    """Prenet and main blocks over frames and extra tokens.

    `prenet_depth` and `depth` are blocks before and after the point where other
    modalities would join; only the last `depth` give training targets. The
    extra tokens N are the paper's utterance (chunk) tokens, in front of the
    frames. How attention weighs distances is `alibi`, by default an Alibi.
    `block` are arguments of Block.

    >>> context = ContextEncoder(8, 2, 1, 2, 3, pos_conv_groups=2)
    >>> states = list(context(torch.randn(2, 5, 8)))
    >>> len(states), states[-1][0].shape
    (3, torch.Size([2, 8, 8]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        prenet_depth: int,
        depth: int,
        num_extra_tokens: int,
        alibi: Alibi | NoAlibi | None = None,
        pos_conv_width: int = 95,
        pos_conv_depth: int = 5,
        pos_conv_groups: int = 16,
        prenet_dropout: float = 0.0,
        layerdrop: float = 0.0,
        prenet_layerdrop: float = 0.0,
        norm_eps: float = 1e-5,
        **block: Any,
    ):
        super().__init__()
        self.num_extra_tokens = num_extra_tokens
        self.positional = RelativePositionalConv(
            embed_dim, pos_conv_width, pos_conv_depth, pos_conv_groups
        )
        self.alibi = Alibi(num_heads) if alibi is None else alibi
        tokens = torch.randn(num_extra_tokens, embed_dim)
        tokens[:1] = 0.0
        self.extra_tokens = nn.Parameter(tokens)
        self.norm = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.prenet_dropout = nn.Dropout(prenet_dropout)
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, norm_eps=norm_eps, **block)
            for _ in range(prenet_depth + depth)
        )
        self.layerdrop = [prenet_layerdrop] * prenet_depth + [layerdrop] * depth
        self.apply(_initialise_linear)

    def forward(
        self,
        features: torch.Tensor,
        num_frames: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Encode whole utterances, block by block.

        From projected local features [B, T, D] and their real frames [B] to the
        output and the MLP output of every block, [B, N + T, D] each, extra
        tokens in front. A frame attends to `window` frames on each side, or to
        all.
        """
        real = None
        if num_frames is not None:
            real = frame_mask(num_frames, features.shape[1])
        zeroing = None if real is None else real.unsqueeze(2)
        frames = torch.arange(features.shape[1], device=features.device)
        features = features + self.positional(features, zeroing)
        # Not a generator itself: it would keep the features all the time.
        return self.run_blocks(features, frames[None], real, window)

    @property
    def num_states(self) -> int:
        """How many states there are: one a block."""
        return len(self.blocks)

    def frame_states(
        self,
        features: torch.Tensor,
        num_frames: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[torch.Tensor]:
        """Give the output of every block without the tokens, [B, T, D] each."""
        tokens = self.num_extra_tokens
        states = self(features, num_frames, window)
        return (state[:, tokens:] for state, _ in states)

    def run_blocks(
        self,
        x: torch.Tensor,
        positions: torch.Tensor,
        real: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Put the tokens in front and run the blocks; yields as `forward`.

        `x` [B, T, D] are frames, not always all of them, with the positional
        convolution added; `positions` [1 or B, T] their time index, for ALiBi;
        `real` [B, T] is False at padding.
        """
        tokens = self.extra_tokens.to(x.dtype).expand(len(x), -1, -1)
        x = torch.cat([tokens, x], dim=1)
        if real is not None:
            always = real.new_ones(len(x), self.num_extra_tokens)
            real = torch.cat([always, real], dim=1)
        bias = self.alibi(positions, self.num_extra_tokens, real, window)
        x = self.prenet_dropout(self.norm(x))
        yield from run_blocks(self.blocks, self.layerdrop, x, bias)


def _initialise_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
