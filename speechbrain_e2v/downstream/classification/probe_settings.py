"""How a probe is trained, whichever way its heads are computed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from speechbrain_e2v.downstream.config_of_callable import described
from speechbrain_e2v.training.seeding import stable_hash


@dataclass(frozen=True)
class ProbeSettings:
    """Head, optimizer, schedule, epochs and batches.

    Arguments
    ---------
    head : callable
        ``head(input_dim=..., n_classes=...)`` builds the classifier.
    optimizer : callable
        ``optimizer(parameters)``.
    schedule : callable
        ``schedule(optimizer)``, stepped once per epoch.
    number_of_epochs : int
        Epochs.
    batch_size : int
        Utterances in a training batch.

    Raises
    ------
    ValueError
        When there would be nothing to train on.

    Example
    -------
    >>> import functools
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> settings = ProbeSettings(
    ...     LinearHead, functools.partial(torch.optim.RMSprop, lr=5e-4),
    ...     functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1),
    ...     number_of_epochs=100)
    >>> settings.describe("probe")["optimizer"]
    {'name': 'RMSprop', 'lr': 0.0005}
    """

    head: Callable
    optimizer: Callable
    schedule: Callable
    number_of_epochs: int
    batch_size: int = 128

    def __post_init__(self):
        if self.number_of_epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"number_of_epochs is {self.number_of_epochs} and batch_size "
                f"is {self.batch_size}; both must be at least 1"
            )

    def describe(self, kind):
        """What decides the result, for ``results.json``."""
        return {
            "kind": kind,
            "head": described(self.head),
            "optimizer": described(self.optimizer),
            "schedule": {**described(self.schedule), "stepped": "per epoch"},
            "number_of_epochs": self.number_of_epochs,
            "batch_size": self.batch_size,
            "selection": "first epoch with the best validation WA",
        }

    def head_arguments(self, input_dim, n_classes):
        """All that the head is built with, to build it again."""
        chosen = getattr(self.head, "keywords", {})
        return {**chosen, "input_dim": input_dim, "n_classes": n_classes}

    def build_head(self, input_dim, n_classes, seed):
        """The head with the initial weights of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.head(input_dim=input_dim, n_classes=n_classes)


def fold_seed(seed, fold):
    """Seed of one fold's training.

    Arguments
    ---------
    seed : int
        Of the run.
    fold : Fold

    Returns
    -------
    int
    """
    return stable_hash("probe", seed, fold.name)
