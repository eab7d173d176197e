"""A choice of layers, as upstreams read, tell and count it."""

from collections.abc import Iterable

import torch

from speechbrain_e2v.lobes.batching import (
    Layer,
    checked_layer,
    choose_layers,
    layer_indices,
)


class LayerChoice:
    """`layer` of `layers`, in the vocabulary of `lobes.batching`.

    "all" gives layers one after the other, [T, L * D]; so does "weighted",
    for a head that learns the weights
    (:class:`~speechbrain_e2v.lobes.heads.WeightedSumHead`).

    >>> choice = LayerChoice("weighted", 3)
    >>> choice.said, choice.read, choice.times
    ('weighted', 'all', 3)
    >>> choice([torch.ones(1, 5, 2)] * 3).shape
    torch.Size([1, 5, 6])
    """

    def __init__(self, layer: Layer, layers: int) -> None:
        self.layers = layers
        layer = checked_layer(layer, layers)
        if layer in ("last", "mean_last_4"):
            layer = checked_layer(layer_indices(layer, layers), layers)
        self.said = layer
        """For results: an index, a list of them, "weighted" or "all"."""
        # Both hold every layer; only the head differs.
        self.read: Layer = "all" if layer == "weighted" else layer
        self.times = layers if self.read == "all" else 1

    def __call__(self, states: Iterable[torch.Tensor]) -> torch.Tensor:
        """Choose among states [B, T, D], as they come: [B, T, D or L * D]."""
        chosen = choose_layers(states, self.read, self.layers).cpu()
        if self.read == "all":  # [B, L, T, D]
            return chosen.transpose(1, 2).flatten(2)
        return chosen
