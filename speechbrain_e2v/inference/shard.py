"""Sharing work among the processes that torchrun started."""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch

# Processes wait for the slowest at the end, which may have a long way to go.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Shard:
    """Which part of the work is this process's.

    Arguments
    ---------
    rank, world : int
    local_rank : int
        On this machine; the GPU to use.

    Example
    -------
    >>> Shard(1, 3).part([10, 11, 12, 13, 14])
    [11, 14]
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls):
        """Read what torchrun sets; one process has all the work.

        Raises
        ------
        ValueError
            When RANK and WORLD_SIZE contradict each other.
        """
        rank = int(os.environ.get("RANK", 0))
        world = int(os.environ.get("WORLD_SIZE", 1))
        if not 0 <= rank < world:
            raise ValueError(
                f"RANK is {rank} and WORLD_SIZE {world}: start with torchrun, "
                "or unset both"
            )
        return cls(rank, world, int(os.environ.get("LOCAL_RANK", rank)))

    def part(self, items):
        """Return every `world`-th item, from `rank` on."""
        return list(items[self.rank :: self.world])

    def gather(self, item):
        """Return the items of all processes, when all have come here."""
        if self.world == 1:
            return [item]
        torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
        items = [None] * self.world
        torch.distributed.all_gather_object(items, item)
        return items

    def leave(self):
        """End the connection to the other processes."""
        if self.world > 1:
            torch.distributed.destroy_process_group()
