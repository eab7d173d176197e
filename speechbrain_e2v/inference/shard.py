"""Sharing work among the processes that torchrun started."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TypeVar

import torch

# Processes wait for the slowest at the end, which may have a long way to go.
_PATIENCE = timedelta(days=7)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Which part of the work is this process's; a context of exchange.

    `local_rank` is on this machine: the GPU to use.

    >>> Shard(1, 3).part([10, 11, 12, 13, 14])
    [11, 14]
    >>> with Shard() as alone:
    ...     alone.interleaved([10, 11])
    [10, 11]
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> "Shard":
        """Read what torchrun sets; one process has all the work.

        Raises ValueError when RANK and WORLD_SIZE contradict each other.
        """
        rank = int(os.environ.get("RANK", 0))
        world = int(os.environ.get("WORLD_SIZE", 1))
        if not 0 <= rank < world:
            raise ValueError(
                f"RANK is {rank} and WORLD_SIZE {world}: start with torchrun, "
                "or unset both"
            )
        return cls(rank, world, int(os.environ.get("LOCAL_RANK", rank)))

    def __enter__(self) -> "Shard":
        if self.world > 1:
            torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.world > 1:
            torch.distributed.destroy_process_group()

    def part(self, items: Sequence[Item]) -> list[Item]:
        """Return every `world`-th item, from `rank` on."""
        return list(items[self.rank :: self.world])

    def gather(self, item: Item) -> list[Item]:
        """Return the items of all processes, when all have come here."""
        if self.world == 1:
            return [item]
        items: list[Item] = [item] * self.world
        torch.distributed.all_gather_object(items, item)
        return items

    def interleaved(self, part: Sequence[Item]) -> list[Item]:
        """Join the parts of all processes to the order before `part`."""
        parts = self.gather(list(part))
        longest = max(map(len, parts))
        return [
            each[place]
            for place in range(longest)
            for each in parts
            if place < len(each)
        ]
