"""How a probe is trained, whichever way its heads are computed."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.best_epoch import BestEpoch
from speechbrain_e2v.downstream.provenance import config_of_callable
from speechbrain_e2v.metrics import (
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)
from speechbrain_e2v.training.seeding import stable_hash

_LAST = "last"
_SELECTIONS = {
    "wa": weighted_accuracy,
    "ua": unweighted_accuracy,
    "wf1": weighted_f1,
}


@dataclass(frozen=True)
class ProbeSettings:
    """Head, optimizer, schedule (stepped once per epoch), epochs, batches.

    ``selection`` is the score that chooses the epoch on validation; ``last``
    takes the last one, whatever it scores. ``label_smoothing`` is the share of
    the targets that all classes divide among them.

    Raises ValueError when there would be nothing to train on.

    >>> import functools
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> settings = ProbeSettings(
    ...     LinearHead, functools.partial(torch.optim.RMSprop, lr=5e-4),
    ...     functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1),
    ...     number_of_epochs=100)
    >>> settings.describe("probe")["optimizer"]
    {'name': 'RMSprop', 'lr': 0.0005}
    """

    head: Callable[..., torch.nn.Module]
    optimizer: Callable[..., torch.optim.Optimizer]
    schedule: Callable[..., torch.optim.lr_scheduler.LRScheduler]
    number_of_epochs: int
    batch_size: int = 128
    selection: str = "wa"
    label_smoothing: float = 0.0
    max_grad_norm: float = math.inf  # released: no clipping

    def __post_init__(self) -> None:
        if self.selection not in (*_SELECTIONS, _LAST):
            raise ValueError(
                f"selection is {self.selection!r}; there are "
                f"{', '.join((*_SELECTIONS, _LAST))}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}; it must be at "
                "least 0 and below 1"
            )
        if self.number_of_epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"number_of_epochs is {self.number_of_epochs} and batch_size "
                f"is {self.batch_size}; both must be at least 1"
            )

    def describe(self, kind: str) -> dict:
        """What decides the result, for ``results.json``."""
        schedule = config_of_callable(self.schedule)
        chosen = "last epoch"
        if self.selection != _LAST:
            score = self.selection.upper()
            chosen = f"first epoch with the best validation {score}"
        described = {
            "kind": kind,
            "head": config_of_callable(self.head),
            "optimizer": config_of_callable(self.optimizer),
            "schedule": {**schedule, "stepped": "per epoch"},
            "number_of_epochs": self.number_of_epochs,
            "batch_size": self.batch_size,
            "selection": chosen,
        }
        if self.label_smoothing:  # absent from runs of before
            described["label_smoothing"] = self.label_smoothing
        if math.isfinite(self.max_grad_norm):
            described["max_grad_norm"] = self.max_grad_norm
        return described

    def best_epoch(self) -> BestEpoch:
        """What keeps the epoch that is tested."""
        if self.selection == _LAST:
            return BestEpoch("epoch")
        return BestEpoch(f"valid_{self.selection}")

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of logits [B, C] and classes [B]."""
        return F.cross_entropy(
            logits.float(), labels, label_smoothing=self.label_smoothing
        )

    def valid_scores(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """Scores of a validation part [N, C], for the entry of an epoch."""
        predicted, truth = logits.argmax(dim=1).tolist(), labels.tolist()
        names = {"wa": None, self.selection: None}  # in this order
        return {
            f"valid_{n}": _SELECTIONS[n](truth, predicted)
            for n in names
            if n != _LAST
        }

    def for_upstream(self, description: dict) -> "ProbeSettings":
        """The same, with as many layers to weigh as the upstream has.

        Raises ValueError for a head that weighs layers where there are none.
        """
        build = getattr(self.head, "func", self.head)
        if "num_layers" not in inspect.signature(build).parameters:
            return self
        layers = description.get("layers")
        if layers is None or description.get("layer") != "weighted":
            raise ValueError(
                f"{build.__name__} weighs layers, but {description['kind']} "
                + (
                    "is read otherwise: --layer weighted"
                    if layers
                    else "has none"
                )
            )
        return replace(self, head=partial(self.head, num_layers=layers))

    def head_arguments(self, input_dim: int, n_classes: int) -> dict:
        """All that the head is built with, to build it again."""
        chosen = getattr(self.head, "keywords", {})
        return {**chosen, "input_dim": input_dim, "n_classes": n_classes}

    def build_head(
        self, input_dim: int, n_classes: int, seed: int
    ) -> torch.nn.Module:
        """The head with the initial weights of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.head(input_dim=input_dim, n_classes=n_classes)


def fold_seed(seed: int, fold: Fold) -> int:
    """Seed of one fold's training, from that of the run."""
    return stable_hash("probe", seed, fold.name)
