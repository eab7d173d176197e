"""Learning rates of head and encoder, and when each block joins in."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from speechbrain_e2v.downstream.finetuning.model import TunedEncoder
from speechbrain_e2v.downstream.finetuning.what_trains import (
    BELOW,
    FRONTEND,
    block_of,
)
from speechbrain_e2v.pretraining.schedules import whole_updates

OPENS = "opens_at"
"""Key of a parameter group: the update before which it stays as it is."""
_NAMES = {BELOW: "below the blocks", FRONTEND: "front end"}


@dataclass(frozen=True)
class LearningRates:
    """Peak rates; ``decay`` is a factor for each block further down.

    The last block that is read has the rate ``encoder``, the one below it that
    times ``decay``, and so on down to what feeds the first block, then the
    front end.

    >>> rates = LearningRates(encoder=1e-4, decay=0.5)
    >>> [rates.of_block(block, used_blocks=3) for block in (2, 1, -1)]
    [0.0001, 5e-05, 1.25e-05]
    """

    encoder: float = 3e-5
    head: float = 1e-3
    decay: float = 1.0

    def __post_init__(self) -> None:
        if min(self.encoder, self.head) <= 0 or not 0 < self.decay <= 1:
            raise ValueError(
                f"learning rates are encoder {self.encoder}, head {self.head}, "
                f"decay {self.decay}: rates must be positive, decay in (0, 1]"
            )

    def of_block(self, block: int, used_blocks: int) -> float:
        """Peak rate of a block, as `what_trains.block_of` counts."""
        return self.encoder * self.decay ** (used_blocks - 1 - block)


@dataclass(frozen=True)
class Unfreezing:
    """When parts of the encoder that train begin to.

    The head trains alone for ``freeze_updates``; then the top block joins, and
    every ``updates_per_block`` the next one below (gradual unfreezing, Howard
    and Ruder 2018); 0: all at once.

    >>> [Unfreezing(100, 50).opens_at(b, used_blocks=3) for b in (2, 1, -1)]
    [100, 150, 250]
    """

    freeze_updates: int = 0
    updates_per_block: int = 0

    def __post_init__(self) -> None:
        if self.freeze_updates < 0 or self.updates_per_block < 0:
            raise ValueError(
                f"freeze_updates is {self.freeze_updates} and "
                f"updates_per_block {self.updates_per_block}: give 0 or more"
            )

    def opens_at(self, block: int, used_blocks: int) -> int:
        """The number of updates made before a block's first one."""
        above = used_blocks - 1 - block
        return self.freeze_updates + self.updates_per_block * above


def parameter_groups(
    model: TunedEncoder, rates: LearningRates, unfreezing: Unfreezing
) -> list[dict]:
    """Groups for an optimizer, with ``lr_factor`` and ``opens_at``.

    Vectors (biases, norms) have no weight decay.
    """
    used = model.used_blocks
    blocks = range(FRONTEND, used)
    parts = [("head", model.head, rates.head, 0, None)] + [
        (
            _NAMES.get(block, f"block {block}"),
            model.encoder,
            rates.of_block(block, used),
            unfreezing.opens_at(block, used),
            block,
        )
        for block in reversed(blocks)
    ]
    groups = []
    for name, module, rate, opens_at, block in parts:
        found = list(_trained(module, block))
        for vectors in (False, True):
            some = [p for p in found if (p.ndim <= 1) == vectors]
            if some:
                group = {
                    "params": some,
                    "name": name,
                    "lr_factor": rate,
                    OPENS: opens_at,
                }
                groups.append(
                    group | ({"weight_decay": 0.0} if vectors else {})
                )
    return groups


def _trained(
    module: torch.nn.Module, block: int | None
) -> Iterator[torch.nn.Parameter]:
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and block in (None, block_of(name)):
            yield parameter


def constant(
    update: int, peak: float, total: int, warmup: float | str = 0
) -> float:
    """Linear warm-up, then the peak.

    >>> constant(3, 1.0, 100), constant(3, 1.0, 100, warmup="6 %")
    (1.0, 0.5)
    """
    rise = whole_updates("warmup", warmup, total)
    return peak * min(1.0, update / rise) if rise else peak
