"""ALiBi: distances between frames as an attention bias, one scale a head.

Sources: released data2vec 2.0 / emotion2vec behaviour; ALiBi (Press et al.
2022) in its symmetric form.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

WHOLE_BIAS_ELEMENTS = 2**26
"""Above this size the bias is made for some queries and heads at a time."""
_NOT_SEEN = -3.0e4  # exp underflows to exactly 0 in fp32 and bf16


def alibi_slopes(num_heads: int) -> list[float]:
    """Return ALiBi's slope of each head.

    A power of two n gives 2^(-8/n), its square, ..., its n-th power; another
    number takes the slopes of the power of two below it, then every second
    slope of the power of two above it.

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

    `weight` [H] is slope times learned scale of each head, `positions`
    [1 or B, T] the time index of each frame. The bias of the `num_tokens` extra
    tokens N in front, to and from everything, is 0. `key_mask` [B, N + T] is
    True where a key is real; frames further away than `window` are not attended
    to.

    >>> bias = AttentionBias(torch.tensor([0.5]), torch.arange(3)[None], 1)
    >>> bias.whole(torch.float32)[0, 0, 1].tolist()
    [-0.0, -0.0, -0.5, -1.0]
    """

    def __init__(
        self,
        weight: torch.Tensor,
        positions: torch.Tensor,
        num_tokens: int,
        key_mask: torch.Tensor | None = None,
        window: int | None = None,
    ):
        self.weight = weight
        # bfloat16 cannot tell neighbours apart from frame 256 on.
        self.positions = F.pad(positions.float(), (num_tokens, 0))
        self.num_tokens = num_tokens
        self.key_mask = key_mask
        self.window = window
        self._whole: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.positions.shape[1]

    @property
    def fits(self) -> bool:
        """Whether the whole bias is small enough to be kept."""
        rows, length = self.positions.shape
        return rows * len(self.weight) * length**2 <= WHOLE_BIAS_ELEMENTS

    def whole(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the bias of all pairs, [1 or B, H, N + T, N + T]."""
        if self._whole is None or self._whole.dtype != dtype:
            everything = slice(0, len(self))
            bias = self.between(slice(None), everything, everything)
            bias[:, :, : self.num_tokens] = 0
            self._whole = bias.to(dtype)
        return self._whole

    def between(
        self, heads: slice, queries: slice, frames: slice
    ) -> torch.Tensor:
        """Return the bias of some queries to the tokens and to some frames.

        [1 or B, heads, queries, N + frames]; the beginning of `frames` is put
        behind the tokens. What it says of tokens among the queries is not their
        bias.
        """
        tokens = self.num_tokens
        frames = slice(max(tokens, frames.start), frames.stop)
        keys = torch.cat(
            [self.positions[:, :tokens], self.positions[:, frames]], dim=1
        )
        distance = (self.positions[:, queries, None] - keys[:, None]).abs()
        distance[:, :, :tokens] = 0
        bias = -self.weight[heads, None, None] * distance[:, None]
        if self.window is not None:
            far = distance[:, None] > self.window
            bias = bias.masked_fill(far, _NOT_SEEN)
        return bias


class Alibi(nn.Module):
    """ALiBi with a learned scale per head, shared by all layers.

    >>> bias = Alibi(4)(torch.arange(5)[None], num_tokens=2)
    >>> bias.whole(torch.float32).shape
    torch.Size([1, 4, 7, 7])
    """

    slopes: torch.Tensor

    def __init__(self, num_heads: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_heads))
        slopes = torch.tensor(alibi_slopes(num_heads))
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(
        self,
        positions: torch.Tensor,
        num_tokens: int,
        key_mask: torch.Tensor | None = None,
        window: int | None = None,
    ) -> AttentionBias:
        """Bind the bias to frame positions ([1 or B, T]) and real keys."""
        weight = self.slopes * self.scale.clamp(min=0)
        return AttentionBias(weight, positions, num_tokens, key_mask, window)


class NoAlibi(nn.Module):
    """Distances between frames weigh nothing: plain attention, data2vec v1's.

    >>> bias = NoAlibi(4)(torch.arange(5)[None], num_tokens=0)
    >>> bias.whole(torch.float32).any().item()
    False
    """

    weight: torch.Tensor

    def __init__(self, num_heads: int):
        super().__init__()
        weight = torch.zeros(num_heads)
        self.register_buffer("weight", weight, persistent=False)

    def forward(
        self,
        positions: torch.Tensor,
        num_tokens: int,
        key_mask: torch.Tensor | None = None,
        window: int | None = None,
    ) -> AttentionBias:
        """As Alibi's."""
        return AttentionBias(
            self.weight, positions, num_tokens, key_mask, window
        )
