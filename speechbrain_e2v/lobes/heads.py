"""Classifiers on frozen features.

``FrameMLPHead`` is the head of emotion2vec's released downstream code (paper
section 4.3: two linear layers with a ReLU between, hidden width 256): the
first layer sees every frame, the second the mean over frames. ``LinearHead``
is a single layer on that mean. ``WeightedSumHead`` learns which layers of the
encoder to read (SUPERB, Yang et al. 2021, section 3.2).

Each head takes frames padded (``head(features, num_frames)``) or packed
(``head.packed(frames, num_frames)``); the logits are equal.
"""

import torch
from torch import nn

from speechbrain_e2v.lobes.pooling import masked_mean, packed_mean


class FrameMLPHead(nn.Module):
    """Linear, ReLU, mean over frames, Linear.

    >>> head = FrameMLPHead(input_dim=768, n_classes=4)
    >>> head(torch.randn(2, 49, 768), torch.tensor([49, 30])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
    197892
    """

    def __init__(self, input_dim: int, n_classes: int, hidden: int = 256):
        super().__init__()
        self.frame_layer = nn.Linear(input_dim, hidden)
        self.output_layer = nn.Linear(hidden, n_classes)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, D], real frames [B]."""
        hidden = self.frame_layer(features).relu()  # [B, T, hidden]
        return self.output_layer(masked_mean(hidden, num_frames))

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, D]."""
        hidden = self.frame_layer(frames).relu()
        return self.output_layer(packed_mean(hidden, num_frames))


class LinearHead(nn.Module):
    """Mean over frames, then one linear layer.

    >>> LinearHead(input_dim=8, n_classes=3)(torch.randn(2, 5, 8)).shape
    torch.Size([2, 3])
    """

    def __init__(self, input_dim: int, n_classes: int):
        super().__init__()
        self.output_layer = nn.Linear(input_dim, n_classes)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, D]."""
        return self.output_layer(masked_mean(features, num_frames))

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, D]."""
        return self.output_layer(packed_mean(frames, num_frames))


class WeightedSumHead(nn.Module):
    """Weighted sum of layers, Linear, mean over frames, Linear.

    Of features whose layers lie one after the other (``layer: weighted``):
    ``input_dim`` is L * D, for ``num_layers`` L. The weights are a softmax,
    all the same at first.

    >>> head = WeightedSumHead(input_dim=12 * 8, n_classes=3, num_layers=12)
    >>> head(torch.randn(2, 5, 96)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        num_layers: int,
        hidden: int = 256,
    ):
        super().__init__()
        if input_dim % num_layers:
            raise ValueError(
                f"input_dim is {input_dim}, no multiple of num_layers, "
                f"{num_layers}: give features of layer 'weighted'"
            )
        self.layer_weights = nn.Parameter(torch.zeros(num_layers))
        self.projection = nn.Linear(input_dim // num_layers, hidden)
        self.output_layer = nn.Linear(hidden, n_classes)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, L * D]."""
        projected = self._projected(features)
        return self.output_layer(masked_mean(projected, num_frames))

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, L * D]."""
        projected = self._projected(frames)
        return self.output_layer(packed_mean(projected, num_frames))

    def _projected(self, frames: torch.Tensor) -> torch.Tensor:
        layers = frames.unflatten(-1, (len(self.layer_weights), -1))
        weights = self.layer_weights.softmax(dim=0)
        return self.projection((layers * weights[:, None]).sum(dim=-2))
