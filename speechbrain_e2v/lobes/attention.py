"""Self-attention with ALiBi: distances as a bias, one learned scale a head.

Sources: released data2vec 2.0 / emotion2vec behaviour; ALiBi (Press et al.
2022) in its symmetric form.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.local_attention import attend_locally
from speechbrain_e2v.lobes.pieces import frame_pieces

WHOLE_BIAS_ELEMENTS = 2**26
"""Above this size the bias is made for some queries and heads at a time."""
BLOCK_BIAS_ELEMENTS = 2**22  # 16 MiB: stays in the cache
QUERY_BLOCK = 256
# Three times the width: 9 and 288 MiB of it (base).
FRAMES_ON_CPU = 1024
FRAMES_ON_GPU = 2**15
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
    window : int, optional
        Frames further away than this are not attended to.

    Example
    -------
    >>> bias = AttentionBias(torch.tensor([0.5]), torch.arange(3)[None], 1)
    >>> bias.rows(0, 4)[0, 0].tolist()[1]
    [-0.0, -0.0, -0.5, -1.0]
    """

    def __init__(
        self, weight, positions, num_tokens, key_mask=None, window=None
    ):
        self.weight = weight
        # bfloat16 cannot tell neighbours apart from frame 256 on.
        self.positions = F.pad(positions.float(), (num_tokens, 0))
        self.num_tokens = num_tokens
        self.key_mask = key_mask
        self.window = window
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
        return self.of_heads(0, len(self.weight), self.distance(start, stop))

    def of_heads(self, start, stop, distance):
        """Scale a distance [1 or B, Q, K] to a bias of heads start..stop."""
        return -self.weight[start:stop, None, None] * distance[:, None]

    def distance(self, start, stop):
        """Return |query - key| of queries start..stop, [1 or B, Q, N + T]."""
        query = self.positions[:, start:stop, None]
        distance = (query - self.positions[:, None, :]).abs()
        distance[:, : max(0, self.num_tokens - start)] = 0
        distance[:, :, : self.num_tokens] = 0
        return distance


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

    def forward(self, positions, num_tokens, key_mask=None, window=None):
        """Bind the bias to frame positions ([1 or B, T]) and real keys."""
        weight = self.slopes * self.scale.clamp(min=0)
        return AttentionBias(weight, positions, num_tokens, key_mask, window)


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
        p = self.attention_dropout if self.training else 0.0
        x = attend(*self._heads(x), bias, p)
        x = x.transpose(1, 2).reshape(batch, length, width)
        return self.dropout(self.proj(x))

    def _heads(self, x):
        """Project to queries, keys and values, [3, B, H, L, D / H]."""
        batch, length, _ = x.shape
        pieces = frame_pieces(
            batch, length, x.device, FRAMES_ON_CPU, FRAMES_ON_GPU
        )
        joined = None
        for start, stop in pieces:
            qkv = self.qkv(x[:, start:stop])
            qkv = qkv.view(batch, stop - start, 3, self.num_heads, -1)
            qkv = qkv.permute(2, 0, 3, 1, 4)
            if len(pieces) == 1:
                return qkv
            if joined is None:
                # Heads outside: blocks of queries read keys in one run.
                joined = qkv.new_empty(
                    3, batch, self.num_heads, length, qkv.shape[-1]
                )
            joined[:, :, :, start:stop] = qkv
        return joined


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
    if bias.window is not None:
        x = attend_locally(q, k, v, bias, scale, QUERY_BLOCK, dropout_p)
    elif bias.fits:
        mask = bias.whole(q.dtype).expand(len(q), -1, -1, -1)
        x = F.scaled_dot_product_attention(
            q, k, v, mask, dropout_p, scale=scale
        )
    else:
        x = _attend_in_blocks(q, k, v, bias, scale, dropout_p)
    return x[..., :width]


def _attend_in_blocks(q, k, v, bias, scale, dropout_p):
    batch, heads, length, width = q.shape
    x = q.new_empty(batch, length, heads, width).transpose(1, 2)
    # As many heads at once as keep their bias small.
    of_one_head = len(bias.positions) * QUERY_BLOCK * length
    at_once = max(1, BLOCK_BIAS_ELEMENTS // of_one_head)
    for start in range(0, length, QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, length)
        distance = bias.distance(start, stop)
        for first in range(0, heads, at_once):
            last = min(first + at_once, heads)
            mask = bias.of_heads(first, last, distance).to(q.dtype)
            x[:, first:last, start:stop] = F.scaled_dot_product_attention(
                q[:, first:last, start:stop],
                k[:, first:last],
                v[:, first:last],
                mask.expand(batch, -1, -1, -1),
                dropout_p,
                scale=scale,
            )
    return x


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
