"""Gated relative positions: WavLM's attention bias (Chen et al., 2022).

A table has one number a head for each bucket of distances; all blocks share
it. Each block weighs it by a gate of its own, which the query's frame decides.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.attention import SelfAttention

BIAS_ELEMENTS = 2**25
"""Of [B, H, queries, T], at most; more queries are taken in turn."""
_NOT_SEEN = -3.0e4  # exp underflows to exactly 0 in fp32 and bf16
_GATES = 2
_SUMMED = 4
"""A gate is the sum of so many outputs of a linear layer (released)."""


def distance_buckets(
    distances: torch.Tensor, num_buckets: int = 320, max_distance: int = 800
) -> torch.Tensor:
    """Put distances, key minus query in frames, into buckets.

    Half of the buckets are for keys behind the query, half for those ahead; a
    quarter of all holds one distance each, the others grow logarithmically up
    to `max_distance` (Raffel et al., 2020, bidirectional).

    >>> distance_buckets(torch.tensor([-900, -3, 0, 3, 79, 80, 900])).tolist()
    [159, 3, 0, 163, 239, 240, 319]
    """
    half = num_buckets // 2
    exact = half // 2
    away = distances.abs()
    far = torch.log(away.clamp(min=exact).float() / exact)
    far = far / math.log(max_distance / exact) * (half - exact)
    grown = (exact + far.long()).clamp(max=half - 1)
    return half * (distances > 0) + torch.where(away < exact, away, grown)


class DistanceBias:
    """The ungated bias of one forward, and which keys are attended to.

    `by_distance` [H, 2 T - 1] is for key minus query from 1 - T to T - 1;
    `key_mask` [B, T] is True where a key is real; keys further away than
    `window` are not attended to.
    """

    def __init__(
        self,
        by_distance: torch.Tensor,
        key_mask: torch.Tensor | None = None,
        window: int | None = None,
    ):
        self.by_distance = by_distance
        self.frames = (by_distance.shape[1] + 1) // 2
        self.key_mask = key_mask
        self.window = window
        self._whole: torch.Tensor | None = None

    def blocks(self, rows: int) -> list[tuple[slice, slice]]:
        """Queries that are taken together, and the keys that they see."""
        heads, frames = len(self.by_distance), self.frames
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return [(slice(0, frames), slice(0, frames))]
        at_once = max(1, BIAS_ELEMENTS // (rows * heads * frames))
        reach = frames if self.window is None else self.window
        return [
            (
                slice(start, min(start + at_once, frames)),
                slice(
                    max(0, start - reach), min(frames, start + at_once + reach)
                ),
            )
            for start in range(0, frames, at_once)
        ]

    def between(self, queries: slice, keys: slice) -> torch.Tensor:
        """The bias of some queries and keys, [H, queries, keys].

        >>> bias = DistanceBias(torch.tensor([[-2.0, -1.0, 0.0, 1.0, 2.0]]))
        >>> bias.between(slice(1, 3), slice(0, 3))[0].tolist()
        [[-1.0, 0.0, 1.0], [-2.0, -1.0, 0.0]]
        """
        everything = slice(0, self.frames)
        whole = (queries, keys) == (everything, everything)
        if whole and self._whole is not None:
            return self._whole
        index = self._distances(queries, keys) + self.frames - 1
        found = self.by_distance[:, index]
        if whole:  # every block of the encoder asks for it
            self._whole = found
        return found

    def unseen(self, queries: slice, keys: slice) -> torch.Tensor | None:
        """Pairs that do not attend, broadcastable to [B, H, queries, keys]."""
        unseen = None
        if self.key_mask is not None:
            unseen = ~self.key_mask[:, None, None, keys]
        if self.window is not None:
            far = self._distances(queries, keys).abs() > self.window
            unseen = far if unseen is None else unseen | far
        return unseen

    def _distances(self, queries: slice, keys: slice) -> torch.Tensor:
        frames = torch.arange(self.frames, device=self.by_distance.device)
        return frames[None, keys] - frames[queries, None]


class RelativePositions(nn.Module):
    """The table: one number for each bucket of distances and head.

    >>> bias = RelativePositions(num_heads=4)(frames=5)
    >>> bias.between(slice(0, 5), slice(0, 5)).shape
    torch.Size([4, 5, 5])
    """

    def __init__(
        self, num_heads: int, num_buckets: int = 320, max_distance: int = 800
    ):
        super().__init__()
        self.max_distance = max_distance
        self.table = nn.Parameter(torch.empty(num_buckets, num_heads))
        nn.init.xavier_normal_(self.table)

    def forward(
        self,
        frames: int,
        key_mask: torch.Tensor | None = None,
        window: int | None = None,
    ) -> DistanceBias:
        """Bind the table to a number of frames T and to real keys [B, T]."""
        distances = torch.arange(1 - frames, frames, device=self.table.device)
        buckets = distance_buckets(
            distances, len(self.table), self.max_distance
        )
        return DistanceBias(self.table[buckets].T, key_mask, window)


class GatedSelfAttention(SelfAttention):
    """Self-attention whose queries weigh the bias of distances.

    Of each head's own channels of the input two gates a, b are made; the bias
    is multiplied by a (b s - 1) + 2, with a learned s of each head (released
    behaviour).

    >>> bias = RelativePositions(num_heads=2)(frames=5)
    >>> GatedSelfAttention(8, 2)(torch.randn(3, 5, 8), bias).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ):
        super().__init__(embed_dim, num_heads, dropout, attention_dropout)
        self.gate = nn.Linear(embed_dim // num_heads, _GATES * _SUMMED)
        self.gate_scale = nn.Parameter(torch.ones(num_heads))

    def gates(self, x: torch.Tensor) -> torch.Tensor:
        """What the bias is multiplied by: [B, T, D] to [B, H, T, 1]."""
        heads = x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        sums = self.gate(heads).unflatten(3, (_GATES, _SUMMED)).sum(4)
        a, b = sums.sigmoid().split(1, dim=3)
        return a * (b * self.gate_scale[:, None, None] - 1) + 2

    def forward(  # type: ignore[override]  # another kind of bias
        self, x: torch.Tensor, bias: DistanceBias
    ) -> torch.Tensor:
        """Map [B, T, D] to [B, T, D]."""
        batch, length, width = x.shape
        p = self.attention_dropout if self.training else 0.0
        gates = self.gates(x)
        q, k, v = self._heads(x)
        parts = []
        for queries, keys in bias.blocks(batch):
            mask = gates[:, :, queries] * bias.between(queries, keys)
            unseen = bias.unseen(queries, keys)
            if unseen is not None:
                mask = mask.masked_fill(unseen, _NOT_SEEN)
            parts.append(
                F.scaled_dot_product_attention(
                    q[:, :, queries],
                    k[:, :, keys],
                    v[:, :, keys],
                    mask.to(q.dtype),
                    p,
                )
            )
        attended = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        attended = attended.transpose(1, 2).reshape(batch, length, width)
        return self.dropout(self.proj(attended))
