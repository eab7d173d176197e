"""How a fold is fine-tuned, for classes and ratings alike."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from speechbrain_e2v.downstream.finetuning.learning_rates import (
    LearningRates,
    Unfreezing,
)
from speechbrain_e2v.downstream.finetuning.what_trains import WhatTrains
from speechbrain_e2v.downstream.provenance import config_of_callable
from speechbrain_e2v.pretraining.schedules import cosine_with_warmup

Augmentation: TypeAlias = Callable[
    [list[Tensor], Tensor], tuple[list[Tensor], Tensor]
]
_WITHOUT_EFFECT = ("ckpt_interval_minutes", "ckpt_interval_steps")


@dataclass(frozen=True)
class FineTuningSettings:
    """All but the objective.

    Arguments
    ---------
    head
        Takes `input_dim`, `n_classes`; one of `lobes.heads` or `.heads`.
    what_trains
        One of `what_trains` or `lora`.
    optimizer
        Learning rates and decay of vectors are set for it.
    schedule
        Takes `update`, `peak` and `total`; gives the share of the peak.
    number_of_epochs
        At most; fewer after `patience` of them without a better score.
    batch_size
        Utterances an update, over accumulation and processes.
    balanced_sampling
        Draw classes equally often, each epoch with replacement.
    batch_seconds
        Audio of a batch that is evaluated, padding included.
    run_options
        Of SpeechBrain, as a yaml's top level: precision, accumulation, ...
    """

    head: Callable[..., torch.nn.Module]
    what_trains: WhatTrains
    optimizer: Callable[..., torch.optim.Optimizer]
    number_of_epochs: int
    batch_size: int = 32
    rates: LearningRates = LearningRates()
    unfreezing: Unfreezing = Unfreezing()
    schedule: Callable[..., float] = cosine_with_warmup
    patience: int | None = None
    balanced_sampling: bool = False
    augmentation: Sequence[Augmentation] = ()
    batch_seconds: float = 60.0
    num_workers: int = 0
    run_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = {
            "number_of_epochs": self.number_of_epochs,
            "batch_size": self.batch_size,
            "patience": 1 if self.patience is None else self.patience,
        }
        for name, number in numbers.items():
            if number < 1:
                raise ValueError(f"{name} is {number}; it must be at least 1")
        self.schedule(0, peak=1.0, total=1000)  # what cannot work is said now

    def describe(self) -> dict:
        """What decides the result, for ``results.json``."""
        kept = {
            # json has no infinity, which max_grad_norm may be
            name: None if value == math.inf else value
            for name, value in self.run_options.items()
            if name not in _WITHOUT_EFFECT
        }
        return {
            "head": config_of_callable(self.head),
            "what_trains": described(self.what_trains),
            "optimizer": config_of_callable(self.optimizer),
            "learning_rates": described(self.rates),
            "unfreezing": described(self.unfreezing),
            "schedule": config_of_callable(self.schedule),
            "number_of_epochs": self.number_of_epochs,
            "patience": self.patience,
            "batch_size": self.batch_size,
            "balanced_sampling": self.balanced_sampling,
            "augmentation": [described(change) for change in self.augmentation],
            "run_options": kept,
        }


def described(thing: Any) -> Any:
    """Name and values of a dataclass, and of those within it.

    >>> described(Unfreezing(freeze_updates=5))
    {'name': 'Unfreezing', 'freeze_updates': 5, 'updates_per_block': 0}
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        values = {
            f.name: described(getattr(thing, f.name))
            for f in dataclasses.fields(thing)
            if f.init
        }
        return {"name": type(thing).__name__, **values}
    if isinstance(thing, list | tuple):
        return [described(item) for item in thing]
    if callable(thing):
        config = config_of_callable(thing)
        return {name: described(value) for name, value in config.items()}
    return thing
