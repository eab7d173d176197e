"""Self-attention with a bias of distances, exact, in bounded memory."""

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.alibi import AttentionBias
from speechbrain_e2v.lobes.block_attention import attend_in_blocks, reach_of
from speechbrain_e2v.lobes.chunking import time_chunks

# Three times the width: 9 and 288 MiB of it (base).
FRAMES_ON_CPU = 1024
FRAMES_ON_GPU = 2**15
_PADDED_KEY = -3.0e4  # exp underflows to exactly 0 in fp32 and bf16
_PADDED_DIMS = 8  # GPU kernels want head widths in multiples of eight


class SelfAttention(nn.Module):
    """Multi-head self-attention with one fused projection.

    `dropout` is on the output projection, `attention_dropout` on the weights.

    >>> from speechbrain_e2v.lobes.alibi import Alibi
    >>> bias = Alibi(2)(torch.arange(5)[None], num_tokens=0)
    >>> SelfAttention(8, 2)(torch.randn(3, 5, 8), bias).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim {embed_dim} is not a multiple of num_heads "
                f"{num_heads}: change one of them."
            )
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, bias: AttentionBias) -> torch.Tensor:
        """Map [B, L, D] to [B, L, D]."""
        batch, length, width = x.shape
        p = self.attention_dropout if self.training else 0.0
        q, k, v = self._heads(x)
        x = attend(q, k, v, bias, p)
        x = x.transpose(1, 2).reshape(batch, length, width)
        return self.dropout(self.proj(x))

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """Project to queries, keys and values, [3, B, H, L, D / H]."""
        batch, length, _ = x.shape
        chunks = time_chunks(
            batch, length, x.device, FRAMES_ON_CPU, FRAMES_ON_GPU
        )
        joined: torch.Tensor | None = None
        for start, stop in chunks:
            qkv = self.qkv(x[:, start:stop])
            qkv = qkv.view(batch, stop - start, 3, self.num_heads, -1)
            qkv = qkv.permute(2, 0, 3, 1, 4)
            if len(chunks) == 1:
                return qkv
            if joined is None:
                # Heads outside: blocks of queries read keys in one run.
                joined = qkv.new_empty(
                    3, batch, self.num_heads, length, qkv.shape[-1]
                )
            joined[:, :, :, start:stop] = qkv
        assert joined is not None  # there is a chunk
        return joined


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: AttentionBias,
    dropout_p: float = 0.0,
) -> torch.Tensor:
    """Attend with queries, keys, values [B, H, L, E] in bounded memory.

    Exact, unless the bias has a `window`.

    >>> from speechbrain_e2v.lobes.alibi import Alibi
    >>> bias = Alibi(2)(torch.arange(5)[None], num_tokens=0)
    >>> q = torch.randn(1, 2, 5, 4)
    >>> attend(q, q, q, bias).shape
    torch.Size([1, 2, 5, 4])
    """
    width = q.shape[-1]
    scale = width**-0.5
    in_blocks = bias.window is not None or not bias.fits
    reach = reach_of(q, k, bias, scale) if in_blocks else []
    if bias.key_mask is not None:
        q, k, v = _mark_padded_keys(q, k, v, bias.key_mask, scale)
    if in_blocks:
        x = attend_in_blocks(q, k, v, bias, reach, scale, dropout_p)
    else:
        mask = bias.whole(q.dtype).expand(len(q), -1, -1, -1)
        x = F.scaled_dot_product_attention(
            q, k, v, mask, dropout_p, scale=scale
        )
    return x[..., :width]


def _mark_padded_keys(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    key_mask: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Carry the key mask in one more dimension of queries and keys.

    Queries get a 1 and padded keys a large negative number there, which the
    dot product adds to the logits: a mask per utterance without a bias per
    utterance.
    """
    q = F.pad(q, (0, _PADDED_DIMS))
    k = F.pad(k, (0, _PADDED_DIMS))
    v = F.pad(v, (0, _PADDED_DIMS))
    width = q.shape[-1] - _PADDED_DIMS
    q[..., width] = 1.0
    k[..., width] = ((~key_mask) * (_PADDED_KEY / scale)).to(k.dtype)[:, None]
    return q, k, v
