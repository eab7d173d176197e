"""Self-attention with ALiBi: distances as a bias, one learned scale a head.

Sources: released data2vec 2.0 / emotion2vec behaviour; ALiBi (Press et al.
2022) in its symmetric form.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

WHOLE_BIAS_ELEMENTS = 2**26
"""Above this size the bias is made for a block of queries at a time."""
QUERY_BLOCK = 128
_PADDED_KEY = -3.0e4  # exp underflows to exactly 0 in fp32 and bf16
_PADDED_DIMS = 8  # GPU kernels want head widths in multiples of eight


def alibi_slopes(num_heads):
    """Return ALiBi's slope of each head.

    A power of two n gives 2^(-8/n), its square, ..., its n-th power; another
    number takes the slopes of the power of two below it, then every second
    slope of the power of two above it.

    Arguments
    ---------
    num_heads : int

    Returns
    -------
    list of float

    Example
    -------
    >>> alibi_slopes(6)
    [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]
    """
    floor = 2 ** int(math.log2(num_heads))
    slopes = [2 ** (-8 * (i + 1) / floor) for i in range(floor)]
    if floor < num_heads:
        slopes += alibi_slopes(2 * floor)[0::2][: num_heads - floor]
    return slopes


class AttentionBias:
    """Who attends to whom: distances between frames, and which keys are real.

    Built once per forward and shared by all layers. When every row of a batch
    has the same frame positions there is one bias for all of them; padding is
    then kept as a mask over keys, so no [B, H, T, T] tensor is ever made.

    Arguments
    ---------
    weight : torch.Tensor, [H]
        Slope times learned scale of each head.
    positions : torch.Tensor, [1 or B, T]
        Time index of each frame.
    num_tokens : int
        Extra tokens in front; their bias to and from everything is 0.
    key_mask : torch.Tensor, [B, N + T], bool, optional
        True where a key is real.

    Example
    -------
    >>> bias = AttentionBias(torch.tensor([0.5]), torch.arange(3)[None], 1)
    >>> bias.rows(0, 4)[0, 0].tolist()[1]
    [-0.0, -0.0, -0.5, -1.0]
    """

    def __init__(self, weight, positions, num_tokens, key_mask=None):
        self.weight = weight
        self.positions = F.pad(positions.to(weight.dtype), (num_tokens, 0))
        self.num_tokens = num_tokens
        self.key_mask = key_mask
        self._whole = None

    def __len__(self):
        return self.positions.shape[1]

    @property
    def fits(self):
        """Whether the whole bias is small enough to be kept."""
        rows, length = self.positions.shape
        return rows * len(self.weight) * length**2 <= WHOLE_BIAS_ELEMENTS

    def whole(self, dtype):
        """Return the bias for all queries, [1 or B, H, N + T, N + T]."""
        if self._whole is None or self._whole.dtype != dtype:
            self._whole = self.rows(0, len(self)).to(dtype)
        return self._whole

    def rows(self, start, stop):
        """Return the bias for queries start..stop, [1 or B, H, Q, N + T]."""
        query = self.positions[:, start:stop, None]
        distance = (query - self.positions[:, None, :]).abs()
        distance[:, : max(0, self.num_tokens - start)] = 0
        distance[:, :, : self.num_tokens] = 0
        return -self.weight[:, None, None] * distance[:, None]


class Alibi(nn.Module):
    """ALiBi with a learned scale per head, shared by all layers.

    Arguments
    ---------
    num_heads : int

    Example
    -------
    >>> Alibi(4)(torch.arange(5)[None], num_tokens=2).rows(0, 7).shape
    torch.Size([1, 4, 7, 7])
    """

    def __init__(self, num_heads):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_heads))
        slopes = torch.tensor(alibi_slopes(num_heads))
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, positions, num_tokens, key_mask=None):
        """Bind the bias to frame positions ([1 or B, T]) and real keys."""
        weight = self.slopes * self.scale.clamp(min=0)
        return AttentionBias(weight, positions, num_tokens, key_mask)


class SelfAttention(nn.Module):
    """Multi-head self-attention with one fused projection.

    Arguments
    ---------
    embed_dim, num_heads : int
    dropout : float
        On the output projection.
    attention_dropout : float
        On the attention weights.

    Example
    -------
    >>> bias = Alibi(2)(torch.arange(5)[None], num_tokens=0)
    >>> SelfAttention(8, 2)(torch.randn(3, 5, 8), bias).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, attention_dropout=0.0
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

    def forward(self, x, bias):
        """Map [B, L, D] to [B, L, D]; `bias` is an AttentionBias."""
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [B, H, L, D / H] each
        p = self.attention_dropout if self.training else 0.0
        x = attend(q, k, v, bias, p)
        x = x.transpose(1, 2).reshape(batch, length, width)
        return self.dropout(self.proj(x))


def attend(q, k, v, bias, dropout_p=0.0):
    """Attend with an AttentionBias, exactly, in bounded memory.

    Arguments
    ---------
    q, k, v : torch.Tensor, [B, H, L, E]
    bias : AttentionBias
    dropout_p : float

    Returns
    -------
    torch.Tensor, [B, H, L, E]

    Example
    -------
    >>> bias = Alibi(2)(torch.arange(5)[None], num_tokens=0)
    >>> q = torch.randn(1, 2, 5, 4)
    >>> attend(q, q, q, bias).shape
    torch.Size([1, 2, 5, 4])
    """
    width = q.shape[-1]
    scale = width**-0.5
    if bias.key_mask is not None:
        q, k, v = _mark_padded_keys(q, k, v, bias.key_mask, scale)
    if bias.fits:
        mask = bias.whole(q.dtype).expand(len(q), -1, -1, -1)
        x = F.scaled_dot_product_attention(
            q, k, v, mask, dropout_p, scale=scale
        )
        return x[..., :width]
    blocks = []
    for start in range(0, len(bias), QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, len(bias))
        mask = bias.rows(start, stop).to(q.dtype).expand(len(q), -1, -1, -1)
        block = F.scaled_dot_product_attention(
            q[:, :, start:stop], k, v, mask, dropout_p, scale=scale
        )
        blocks.append(block[..., :width])
    return torch.cat(blocks, dim=2)


def _mark_padded_keys(q, k, v, key_mask, scale):
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
