"""Attention for long audio: some queries at a time, and only keys that count.

ALiBi takes weight from distant frames, at a rate that each head has learned.
How far a head reaches follows from its queries and keys; beyond that nothing
is left that a float could hold, and nothing is computed.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from speechbrain_e2v.lobes.alibi import AttentionBias

QUERY_BLOCK = 256
BLOCK_BIAS_ELEMENTS = 2**22  # 16 MiB: stays in the cache
_NEGLIGIBLE = 30 * math.log(2)
"""All weights left out add up to less than 2**-30; fp32 resolves 2**-24."""


@torch.no_grad()
def reach_of(
    q: torch.Tensor, k: torch.Tensor, bias: AttentionBias, scale: float
) -> list[int]:
    """How far each head reaches: frames, [H], at most L.

    A logit is at most |q| |k| scale - weight * distance, and the highest one
    of a query is at least that of its own key, whose distance is 0. What is
    left out is a geometric series. A `window` is the reach of every head.
    `scale` is that of the dot products of q and k, [B, H, L, E].

    >>> from speechbrain_e2v.lobes.alibi import Alibi
    >>> bias = Alibi(2)(torch.arange(500)[None], num_tokens=0)
    >>> q = torch.ones(1, 2, 500, 4)
    >>> reach_of(q, q, bias, scale=0.5)
    [400, 500]
    """
    length = q.shape[2]
    if bias.window is not None:
        return [bias.window] * q.shape[1]
    own = torch.einsum("bhle,bhle->bhl", q, k)
    longest = k.norm(dim=-1).amax(-1, keepdim=True)
    margin = (q.norm(dim=-1) * longest - own).amax((0, 2)) * scale  # [H]
    reach = margin + _NEGLIGIBLE + (4 / bias.weight.clamp(max=1)).log()
    reach = (reach.float() / bias.weight).ceil().nan_to_num(nan=length)
    return reach.clamp(max=length).int().tolist()


def attend_in_blocks(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: AttentionBias,
    reach: list[int],
    scale: float,
    dropout_p: float = 0.0,
) -> torch.Tensor:
    """Attend to the extra tokens and to all frames that a head reaches.

    The extra tokens see, and are seen by, every frame. In q, k, v [B, H, L, E]
    they come first, then frames in order of time.

    >>> from speechbrain_e2v.lobes.alibi import Alibi
    >>> bias = Alibi(2)(torch.arange(50)[None], num_tokens=3, window=5)
    >>> q = torch.randn(1, 2, 53, 4)
    >>> attend_in_blocks(q, q, q, bias, [5, 5], scale=0.5).shape
    torch.Size([1, 2, 53, 4])
    """
    batch, heads, length, width = q.shape
    tokens = bias.num_tokens
    x = q.new_empty(batch, length, heads, width).transpose(1, 2)
    if tokens:
        x[:, :, :tokens] = F.scaled_dot_product_attention(
            q[:, :, :tokens], k, v, None, dropout_p, scale=scale
        )
    for some in _alike(reach, len(bias.positions), length):
        far = max(reach[some])
        for start in range(tokens, length, QUERY_BLOCK):
            queries = slice(start, min(start + QUERY_BLOCK, length))
            # Positions grow by at least 1 a frame: nothing seen is left out.
            frames = slice(max(0, start - far), min(queries.stop + far, length))
            mask = bias.between(some, queries, frames).to(q.dtype)
            x[:, some, queries] = F.scaled_dot_product_attention(
                q[:, some, queries],
                _with_tokens(k[:, some], tokens, frames),
                _with_tokens(v[:, some], tokens, frames),
                mask.expand(batch, -1, -1, -1),
                dropout_p,
                scale=scale,
            )
    return x


def _with_tokens(x: torch.Tensor, tokens: int, frames: slice) -> torch.Tensor:
    if frames.start <= tokens:
        return x[:, :, : frames.stop]
    return torch.cat([x[:, :, :tokens], x[:, :, frames]], dim=2)


def _alike(reach: list[int], rows: int, length: int) -> Iterator[slice]:
    """Slices of neighbouring heads that reach about equally far.

    Together they need one bias, which stays small.
    """
    first = 0
    for last in range(1, len(reach) + 1):
        if last < len(reach):
            some = reach[first : last + 1]
            keys = min(QUERY_BLOCK + 2 * max(some), length)
            elements = len(some) * rows * QUERY_BLOCK * keys
            if max(some) <= 2 * min(some) and elements <= BLOCK_BIAS_ELEMENTS:
                continue
        yield slice(first, last)
        first = last
