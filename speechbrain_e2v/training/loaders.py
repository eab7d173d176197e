"""Checks of training loaders: epochs, shards, resumption, whole updates."""

from typing import Any

from speechbrain.dataio.dataloader import SaveableDataLoader
from torch.utils.data import DataLoader, RandomSampler


def epoch_sampler(loader: DataLoader) -> Any | None:
    """The batch sampler, else the sampler, whichever has ``set_epoch``.

    >>> epoch_sampler(DataLoader([1, 2, 3])) is None
    True
    """
    for sampler in (loader.batch_sampler, loader.sampler):
        if hasattr(sampler, "set_epoch"):
            return sampler
    return None


def shards_itself(sampler: object) -> bool:
    """Whether a sampler gives every rank its own batches.

    >>> shards_itself(RandomSampler([1, 2]))
    False
    """
    return _ranks_of(sampler) is not None


def check_train_loader(
    loader: DataLoader, rank: int, world_size: int, resumable: bool
) -> None:
    """Refuse loaders with which a run would be wrong without a word.

    `resumable` says whether the run writes checkpoints.

    TypeError: the loader cannot save its position, but has to. ValueError:
    ranks would read the same data, or a resumed epoch another order.

    >>> check_train_loader(DataLoader([1, 2]), 0, 1, resumable=False)
    """
    if not isinstance(loader, DataLoader):
        raise TypeError(
            f"The training loader is a {type(loader).__name__}, which does not "
            "save the position of the loader inside: pass a SaveableDataLoader "
            "and bound the run by optimizer_step_limit."
        )
    sampler = epoch_sampler(loader)
    ranks = _ranks_of(sampler)
    if ranks != (rank, world_size) and (ranks is not None or world_size > 1):
        served = "no ranks" if ranks is None else "rank {} of {}".format(*ranks)
        raise ValueError(
            f"This process is rank {rank} of {world_size}, but its training "
            f"sampler {type(sampler).__name__} serves {served}: ranks would "
            "read the same data; build it with this rank and world_size."
        )
    if not resumable:
        return
    if not isinstance(loader, SaveableDataLoader):
        raise TypeError(
            f"The training loader is a {type(loader).__name__}, which does not "
            "save its position: use speechbrain.dataio.dataloader."
            "SaveableDataLoader, or pass no checkpointer."
        )
    if sampler is None and isinstance(loader.sampler, RandomSampler):
        raise ValueError(
            "The training loader shuffles by a global random state, so a "
            "resumed epoch would have another order: use LengthBatchSampler or "
            "speechbrain.dataio.sampler.ReproducibleRandomSampler."
        )


def check_whole_updates(loader: DataLoader, accumulation: int) -> None:
    """Refuse an epoch whose last micro-batches would never become an update.

    `accumulation` is the number of micro-batches an update. Raises ValueError.

    >>> check_whole_updates(DataLoader([1, 2, 3, 4]), 2)
    """
    left_over = len(loader) % accumulation
    if left_over:
        raise ValueError(
            f"The epoch has {len(loader)} micro-batches and "
            f"grad_accumulation_factor is {accumulation}: SpeechBrain would "
            f"throw the last {left_over} away; give the sampler "
            f"batches_per_update={accumulation}, or drop {left_over}."
        )


def _ranks_of(sampler: Any) -> tuple[int, int] | None:
    for name in ("world_size", "num_replicas"):
        if hasattr(sampler, name):
            return sampler.rank, getattr(sampler, name)
    return None
