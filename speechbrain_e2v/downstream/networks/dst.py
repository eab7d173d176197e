"""DST (Chen et al., ICASSP 2023): attention in windows that it places itself.

Every frame's query says, for each head, how far away an anchor lies and how
wide the window round it is. Inside the window a frame's logit is multiplied
by a weight near 1, which is how a gradient comes to anchor and width; outside
it is -1e8. Post-norm layers, a classifier of every frame, the mean of its
logits over time.

Published: WavLM-large, the first 326 frames (6.5 s). Here a shorter utterance
is masked, not filled up: what it is batched with changes nothing.
"""

import torch
from speechbrain.lobes.models.transformer.Transformer import PositionalEncoding
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

_OUTSIDE = -1e8  # not infinite: a window beside the sequence sees all frames
_HALF_WIDTHS = (1.25, 25.0)  # frames, of the first and the last head at first
_NOISE_ROWS = 2000
POSITIONS = ("sinusoidal", "frozen_noise")


class DeformableAttention(nn.Module):
    """Self-attention of [B, T, D] in a window for every frame and head.

    ``length`` is the number of frames that offsets and half widths are shares
    of.
    """

    def __init__(self, dim: int, heads: int, length: int) -> None:
        super().__init__()
        self._heads = heads
        self._length = length
        self.qkv = nn.Linear(dim, 3 * dim)
        self.offset_duration = nn.Linear(dim, 2 * heads)
        self.project_out = nn.Linear(dim, dim)

    def start(self) -> None:
        """No offset; half widths from 1.25 to 25 frames, a head each."""
        nn.init.zeros_(self.offset_duration.weight)
        widths = torch.linspace(*_HALF_WIDTHS, self._heads)
        with torch.no_grad():
            self.offset_duration.bias[: self._heads] = 0.0
            self.offset_duration.bias[self._heads :] = torch.logit(
                widths / self._length
            )

    def forward(
        self, states: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """[B, T, D] of real frames [B]; None: all are."""
        queries, keys, values = self.qkv(states).chunk(3, dim=2)
        weights = self.weights(queries, keys, num_frames)
        heard = weights @ split_heads(values, self._heads)
        return self.project_out(heard.transpose(1, 2).flatten(2))

    def weights(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        num_frames: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attention [B, H, T, T] of projected queries and keys [B, T, D]."""
        anchors, half_widths = self.windows(queries)
        first, last = anchors - half_widths, anchors + half_widths
        weight, inside = window_weights(
            anchors, first, last, queries.shape[1]
        )  # [B, H, T, T]
        queries = split_heads(queries, self._heads)
        keys = split_heads(keys, self._heads)
        logits = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
        logits = (logits * weight).masked_fill(~inside, _OUTSIDE)
        if num_frames is not None:
            real = frame_mask(num_frames.to(logits.device), logits.shape[3])
            logits = logits.masked_fill(~real[:, None, None], float("-inf"))
        return logits.softmax(dim=3)

    def windows(
        self, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Anchors and half widths [B, H, T], in frames."""
        found = self.offset_duration(queries).transpose(1, 2)  # [B, 2 * H, T]
        offsets, durations = found.chunk(2, dim=1)
        frames = torch.arange(found.shape[2], device=found.device)
        anchors = frames + offsets.tanh() * self._length
        return anchors, durations.sigmoid() * self._length


def window_weights(
    anchors: torch.Tensor, first: torch.Tensor, last: torch.Tensor, frames: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors of the logits [..., T], and which frames are in the window.

    Of anchors and bounds [...], in frames. A factor is 1; less the distance
    between a bound and the whole frame beyond it; plus, at the two frames
    round the anchor, their shares of it.

    >>> one = torch.tensor
    >>> factors, inside = window_weights(one(2.25), one(0.5), one(4.0), 6)
    >>> factors.tolist()
    [0.5, 1.0, 1.75, 1.25, 1.0, 1.0]
    >>> inside.tolist()
    [True, True, True, True, True, False]
    """
    frame = torch.arange(frames, device=anchors.device)
    anchors, first, last = (x.unsqueeze(-1) for x in (anchors, first, last))
    lowest, highest = first.detach().floor(), last.detach().ceil()
    share = (1 - (frame - anchors).abs()).clamp(min=0)
    below = (frame == lowest) * (first - lowest)
    above = (frame == highest) * (highest - last)
    inside = (frame >= lowest) & (frame <= highest)
    return 1 + share - below - above, inside


class DeformableLayer(nn.Module):
    """Attention and a feed-forward network, each normalised afterwards."""

    def __init__(
        self, dim: int, heads: int, length: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = DeformableAttention(dim, heads, length)
        self.attention_norm = nn.LayerNorm(dim)
        self.ffn = FeedForward(dim, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, states: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """[B, T, D] to the same."""
        heard = self.dropout(self.attention(states, num_frames))
        return self.ffn(self.attention_norm(states + heard))


class Dst(nn.Module):
    """Logits of utterances, of which the first ``length`` frames are heard.

    ``positions``: ``sinusoidal``, or ``frozen_noise``, the table of uniform
    noise that the released code ends up with, whose initialisation of all
    matrices overwrites the sinusoids.

    Raises ValueError for a length below 26 frames, where no window has room.

    >>> net = Dst(input_dim=1024, n_classes=4)
    >>> sum(p.numel() for p in net.parameters())
    21735236
    >>> net(torch.randn(2, 30, 1024), torch.tensor([30, 20])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        length: int = 326,
        hidden: int = 512,
        layers: int = 4,
        heads: int = 8,
        dropout: float = 0.1,
        positions: str = "sinusoidal",
    ) -> None:
        super().__init__()
        demand_heads(input_dim, heads)
        if length <= _HALF_WIDTHS[1]:
            raise ValueError(
                f"length is {length} frames; the first windows reach 25 "
                "frames: give more"
            )
        if positions not in POSITIONS:
            raise ValueError(
                f"positions is {positions!r}; there are {', '.join(POSITIONS)}"
            )
        self._length = length
        self.input_norm = nn.LayerNorm(input_dim)
        self.layers = nn.ModuleList(
            DeformableLayer(input_dim, heads, length, hidden, dropout)
            for _ in range(layers)
        )
        self.classifier = three_layers(input_dim, n_classes, dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.start()
        self._place(positions, input_dim)

    def _place(self, positions: str, dim: int) -> None:
        """The table of positions [rows, D]."""
        if positions == "frozen_noise":
            if self._length > _NOISE_ROWS:
                raise ValueError(
                    f"length is {self._length}; frozen noise has "
                    f"{_NOISE_ROWS} rows: give positions: sinusoidal"
                )
            noise = nn.init.xavier_uniform_(torch.empty(_NOISE_ROWS, dim))
            self.positions = nn.Parameter(noise, requires_grad=False)
        else:
            table = PositionalEncoding(dim, self._length).pe[0]
            self.register_buffer("positions", table, persistent=False)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, D], real frames [B]."""
        features = features[:, : self._length]
        if num_frames is not None:
            num_frames = num_frames.clamp(max=self._length)
        states = self.placed(features)
        for layer in self.layers:
            states = layer(states, num_frames)
        return masked_mean(self.classifier(states), num_frames)

    def placed(self, features: torch.Tensor) -> torch.Tensor:
        """What the first layer reads [B, T, D]."""
        return self.input_norm(features) + self.positions[: features.shape[1]]

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, D]."""
        return self(padded_frames(frames, num_frames), num_frames)
