"""MSTR (arXiv 2410.00390), approximately: attention at several time scales.

Known of it: queries, keys and values of width D; from scale to scale each is
averaged over p neighbours in time; attention inside windows of one length at
every scale; a mixer brings the scales back to T frames; three fully connected
layers. Not known, and ours: p 2, three scales, windows of 20 frames, a mixer
that repeats every scale's frames and weighs them by a softmax over scales for
each channel, four post-norm blocks with 8 heads and feed-forward networks of
512. The paper counts 27.00 M parameters, this has 21.66 M at width 1024.
"""

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.downstream.networks.transformer import (
    FeedForward,
    demand_heads,
    padded_frames,
    split_heads,
    three_layers,
)
from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.lobes.pooling import masked_mean


def pooled(
    states: torch.Tensor, num_frames: torch.Tensor, by: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means over ``by`` neighbours: [B, T / by, D], and how many are real.

    The last mean of an utterance is over the real frames that are left.

    >>> states, count = pooled(
    ...     torch.tensor([[[1.0], [3.0], [5.0]]]), torch.tensor([3]), 2)
    >>> states.flatten().tolist(), count.tolist()
    ([2.0, 5.0], [2])
    """
    real = frame_mask(num_frames.to(states.device), states.shape[1])
    states = states.masked_fill(~real.unsqueeze(2), 0.0)
    missing = -states.shape[1] % by
    groups = F.pad(states, (0, 0, 0, missing)).unflatten(1, (-1, by))
    counts = F.pad(real, (0, missing)).unflatten(1, (-1, by)).sum(dim=2)
    means = groups.sum(dim=2) / counts.clamp(min=1).unsqueeze(2)
    return means, -(-num_frames // by)


def windowed_attention(
    qkv: torch.Tensor,
    num_frames: torch.Tensor,
    heads: int,
    window: int,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Attention [B, T, D] of [B, T, 3 * D] inside windows side by side."""
    batch, length, _ = qkv.shape
    missing = -length % window
    real = frame_mask(num_frames.to(qkv.device), length + missing)
    real = real.reshape(-1, 1, 1, window)
    # Where nothing is real the result is not used, but must be a number.
    heard = real | ~real.any(dim=3, keepdim=True)
    windows = F.pad(qkv, (0, 0, 0, missing)).reshape(
        -1, window, qkv.shape[2]
    )  # [B * windows, window, 3 * D]
    queries, keys, values = (
        split_heads(part, heads) for part in windows.chunk(3, dim=2)
    )
    states = F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=heard, dropout_p=dropout
    )
    states = states.transpose(1, 2).reshape(batch, length + missing, -1)
    return states[:, :length]


class FractalAttention(nn.Module):
    """Windowed attention at every scale, and the mixer."""

    def __init__(
        self,
        dim: int,
        heads: int,
        scales: int,
        pool: int,
        window: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self._heads, self._pool, self._window = heads, pool, window
        self._dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.mixer = nn.Parameter(torch.zeros(scales, dim))
        self.output = nn.Linear(dim, dim)

    def forward(
        self, states: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """[B, T, D] of real frames [B]."""
        qkv, count = self.qkv(states), num_frames
        shares = self.mixer.softmax(dim=0)  # [scales, D]
        mixed = torch.zeros_like(states)
        for scale, share in enumerate(shares):
            if scale:
                qkv, count = pooled(qkv, count, self._pool)
            heard = windowed_attention(
                qkv,
                count,
                self._heads,
                self._window,
                self._dropout if self.training else 0.0,
            )
            heard = heard.repeat_interleave(self._pool**scale, dim=1)
            mixed = mixed + share * heard[:, : states.shape[1]]
        return self.output(mixed)


class FractalBlock(nn.Module):
    """Attention and a feed-forward network, each normalised afterwards."""

    def __init__(
        self, attention: FractalAttention, dim: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = attention
        self.attention_norm = nn.LayerNorm(dim)
        self.ffn = FeedForward(dim, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, states: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """[B, T, D] to the same."""
        heard = self.dropout(self.attention(states, num_frames))
        return self.ffn(self.attention_norm(states + heard))


class Mstr(nn.Module):
    """Logits of utterances of any length.

    >>> net = Mstr(input_dim=1024, n_classes=4)
    >>> sum(p.numel() for p in net.parameters())
    21679876
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        blocks: int = 4,
        heads: int = 8,
        hidden: int = 512,
        scales: int = 3,
        pool: int = 2,
        window: int = 20,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        demand_heads(input_dim, heads)
        self.blocks = nn.ModuleList(
            FractalBlock(
                FractalAttention(
                    input_dim, heads, scales, pool, window, dropout
                ),
                input_dim,
                hidden,
                dropout,
            )
            for _ in range(blocks)
        )
        self.classifier = three_layers(input_dim, n_classes, dropout)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, D], real frames [B]."""
        if num_frames is None:
            num_frames = torch.full((len(features),), features.shape[1])
        for block in self.blocks:
            features = block(features, num_frames)
        return self.classifier(masked_mean(features, num_frames))

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, D]."""
        return self(padded_frames(frames, num_frames), num_frames)
