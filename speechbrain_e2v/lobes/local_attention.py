"""Attention within a window: an approximation for very long audio.

ALiBi makes distant frames matter less, at a rate that each head has learned;
leaving them out changes features a little and saves most of the time. The
extra tokens see, and are seen by, every frame.
"""

import torch
import torch.nn.functional as F

_NOT_SEEN = -3.0e4  # exp underflows to exactly 0 in fp32 and bf16


def attend_locally(q, k, v, bias, scale, query_block, dropout_p=0.0):
    """Attend to the extra tokens and to frames in a window.

    Time and memory grow linearly with the length.

    Arguments
    ---------
    q, k, v : torch.Tensor, [B, H, L, E]
        Extra tokens first, then frames in order of time.
    bias : AttentionBias
        With a `window`, in frames.
    scale : float
        Of the dot products.
    query_block : int
        Queries at a time; the result does not depend on it.
    dropout_p : float

    Returns
    -------
    torch.Tensor, [B, H, L, E]

    Example
    -------
    >>> from speechbrain_e2v.lobes.attention import Alibi
    >>> bias = Alibi(2)(torch.arange(50)[None], num_tokens=3, window=5)
    >>> q = torch.randn(1, 2, 53, 4)
    >>> attend_locally(q, q, q, bias, scale=0.5, query_block=16).shape
    torch.Size([1, 2, 53, 4])
    """
    batch, heads, length, width = q.shape
    tokens = bias.num_tokens
    x = q.new_empty(batch, length, heads, width).transpose(1, 2)
    if tokens:
        x[:, :, :tokens] = F.scaled_dot_product_attention(
            q[:, :, :tokens], k, v, None, dropout_p, scale=scale
        )
    for start in range(tokens, length, query_block):
        stop = min(start + query_block, length)
        # Positions grow by at least 1 a frame: nothing seen is left out.
        first = max(tokens, start - bias.window)
        last = min(length, stop + bias.window)
        query = bias.positions[:, start:stop, None]
        distance = (query - bias.positions[:, None, first:last]).abs()
        mask = bias.of_heads(0, heads, distance)
        mask = mask.masked_fill(distance[:, None] > bias.window, _NOT_SEEN)
        mask = F.pad(mask, (tokens, 0)).to(q.dtype)
        x[:, :, start:stop] = F.scaled_dot_product_attention(
            q[:, :, start:stop],
            torch.cat([k[:, :, :tokens], k[:, :, first:last]], dim=2),
            torch.cat([v[:, :, :tokens], v[:, :, first:last]], dim=2),
            mask.expand(batch, -1, -1, -1),
            dropout_p,
            scale=scale,
        )
    return x
