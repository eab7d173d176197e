"""Standardised targets and features, and heads that take it back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.inference.feature_store import FeatureStore
from speechbrain_e2v.lobes.heads import LinearHead


def moments(values: ArrayLike) -> tuple[NDArray, NDArray]:
    """Mean and deviation of each column [N, n]; 1 for what does not vary.

    >>> [x.tolist() for x in moments([[1.0, 4.0], [3.0, 4.0]])]
    [[2.0, 4.0], [1.0, 1.0]]
    """
    values = np.asarray(values, dtype=np.float64)
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 0, spread, 1.0)


class StandardisedMeans:
    """Utterance means of a fold, standardised by its training part.

    >>> from speechbrain_e2v.inference.feature_store import write_features
    >>> rows = [(n, torch.full((2, 1), float(i))) for i, n in enumerate("abc")]
    >>> folder = write_features(getfixture("tmp_path") / "store", rows)
    >>> means = StandardisedMeans(
    ...     FeatureStore(folder), Fold("x", ("a", "b"), ("c",), ("c",)))
    >>> means.of(["a", "b", "c"]).flatten().tolist()
    [-1.0, 1.0, 3.0]
    """

    def __init__(self, store: FeatureStore, fold: Fold) -> None:
        parts = (fold.train, fold.valid, fold.test)
        names = list(dict.fromkeys(n for part in parts for n in part))
        means = store.means(names).astype(np.float64)
        self.centre, self.spread = moments(means[: len(fold.train)])
        values = (means - self.centre) / self.spread
        self._vectors = torch.from_numpy(values.astype(np.float32))
        self._row = {name: row for row, name in enumerate(names)}

    def of(self, names: list[str] | tuple[str, ...]) -> Tensor:
        """Vectors [B, D] of utterances, by id."""
        return self._vectors[[self._row[name] for name in names]]


def in_units(head: torch.nn.Module, means: Tensor, deviations: Tensor) -> None:
    """Let a head that speaks of standardised targets speak of the scales.

    Its ``output_layer`` is changed in place; moments are of the targets [n].

    >>> head = LinearHead(1, 1)
    >>> before = head(torch.ones(1, 1, 1))
    >>> in_units(head, torch.tensor([3.0]), torch.tensor([2.0]))
    >>> bool(torch.isclose(head(torch.ones(1, 1, 1)), 3 + 2 * before))
    True
    """
    layer: Any = head.output_layer
    with torch.no_grad():
        means = means.to(layer.weight)
        deviations = deviations.to(layer.weight)
        layer.weight.mul_(deviations.unsqueeze(1))
        layer.bias.mul_(deviations).add_(means)


def on_raw_features(
    head: LinearHead, means: Tensor, deviations: Tensor
) -> None:
    """Let a linear head on standardised features [D] take them as they are.

    >>> head = LinearHead(1, 1)
    >>> before = head(torch.ones(1, 1, 1))
    >>> on_raw_features(head, torch.tensor([3.0]), torch.tensor([2.0]))
    >>> bool(torch.isclose(head(5 * torch.ones(1, 1, 1)), before))
    True
    """
    layer = head.output_layer
    with torch.no_grad():
        # In double precision: differences of large numbers.
        weight = layer.weight.double() / deviations.to(layer.weight).double()
        shift = weight @ means.to(layer.weight).double()
        layer.bias.copy_(layer.bias.double() - shift)
        layer.weight.copy_(weight)
