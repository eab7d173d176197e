"""Batches of whole utterances of about the same length.

As the released code does it: sort by length, cut where longest times count
would exceed the budget, shuffle the batches. Here every utterance then moves
by up to half a batch in the sorted order before it is cut, so that every epoch
has another composition and the batches stay as full.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from speechbrain_e2v.training.seeding import hash_uniform, stable_hash


def cut_batches(lengths: Iterable[int], max_samples: int) -> list[int]:
    """First positions of the batches, and the total count at the end.

    Longest times count of a batch stays within ``max_samples``, which no
    length may exceed.

    >>> cut_batches([3, 3, 4, 9], 9)
    [0, 2, 3, 4]
    """
    starts, first, longest, position = [0], 0, 0, 0
    for position, length in enumerate(lengths):
        if length > longest:  # max() would take half of the time here
            longest = length
        if longest * (position - first + 1) > max_samples:
            starts.append(position)
            first, longest = position, length
    return [*starts, position + 1]


class LengthBatchSampler:
    """Length-sorted batches of (index, epoch); a pure function of seed, epoch.

    Use it as ``batch_sampler`` of SpeechBrain's ``SaveableDataLoader``: a
    resumed run skips the batches it has seen. Build the loader yourself when
    several processes train, since ``Brain.make_dataloader`` would share out
    the batches a second time.

    Arguments
    ---------
    lengths
        Samples at 16,000 Hz of every utterance.
    max_samples
        Budget of one batch on one process: longest times count.
    max_utterance
        Longer utterances are cropped to this many samples, and count so. A
        whole fraction of ``max_samples`` keeps batches of long ones full.
    rank, world_size
        Rank r gets the batches r, r + world_size, and so on.
    batches_per_update
        Batches that each process accumulates in one update. The batches of an
        epoch are a multiple of ``world_size * batches_per_update``; the
        remainder, other utterances in every epoch, is left out.
    spread
        How far an utterance may move in the sorted order, in batches of its
        length; 0 gives the same composition in every epoch.

    >>> sampler = LengthBatchSampler([400, 800, 800, 420], 1600, spread=0)
    >>> sampler.set_epoch(3)
    >>> sorted(sorted(batch) for batch in sampler)
    [[(0, 3), (3, 3)], [(1, 3), (2, 3)]]
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        max_samples: int,
        max_utterance: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        batches_per_update: int = 1,
        spread: float = 0.5,
    ):
        self.lengths = np.asarray(lengths, dtype=np.int64)
        if self.lengths.ndim != 1 or not len(self.lengths):
            raise ValueError(
                f"lengths of shape {self.lengths.shape}: give one number per "
                "utterance, and at least one utterance"
            )
        if self.lengths.min() < 1:
            index = int(self.lengths.argmin())
            raise ValueError(
                f"utterance {index} has {self.lengths[index]} samples; leave "
                "empty utterances out"
            )
        if max_utterance is not None:
            self.lengths = np.minimum(self.lengths, max_utterance)
        if self.lengths.max() > max_samples:
            index = int(self.lengths.argmax())
            raise ValueError(
                f"utterance {index} counts {self.lengths[index]} samples, more "
                f"than the {max_samples} of a batch; lower max_utterance "
                f"({max_utterance}) or raise max_samples"
            )
        if not 0 <= rank < world_size or batches_per_update < 1:
            raise ValueError(
                f"rank {rank} of {world_size} with {batches_per_update} "
                "batches per update: ranks are 0-based, batches at least 1"
            )
        if spread < 0:
            raise ValueError(f"spread is {spread}; use 0 or more batches")
        self.max_samples = max_samples
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.batches_per_update = batches_per_update
        self._sorted = np.argsort(self.lengths, kind="stable")
        self._reach = spread * max_samples / self.lengths[self._sorted]
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration and ``len`` speak of."""
        draws = self._draws(epoch, "move", len(self.lengths))
        ranks = np.arange(len(draws)) + self._reach * (2 * draws - 1)
        order = self._sorted[np.argsort(ranks, kind="stable")]
        starts = cut_batches(self.lengths[order].tolist(), self.max_samples)
        count, needed = len(starts) - 1, self.world_size
        needed *= self.batches_per_update
        if count < needed:
            raise ValueError(
                f"{len(order)} utterances ({self.lengths.sum()} samples) make "
                f"{count} batches of {self.max_samples} samples, but one "
                f"update needs {needed} ({self.world_size} processes x "
                f"{self.batches_per_update} accumulated); lower the budget or "
                "the accumulation, or add audio"
            )
        draws = self._draws(epoch, "shuffle", count)
        shuffle = np.argsort(draws, kind="stable")
        self.epoch = epoch
        self._order = order
        self._starts = np.asarray(starts)
        self._batches = shuffle[: count - count % needed]

    def _draws(self, epoch: int, purpose: str, count: int) -> np.ndarray:
        return hash_uniform([stable_hash(self.seed, epoch, purpose)], count)[0]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order, epoch = self._order, self.epoch
        batches = self._batches[self.rank :: self.world_size]
        bounds = zip(
            self._starts[batches].tolist(),
            self._starts[batches + 1].tolist(),
            strict=True,
        )
        # A generator expression binds its source now: a later set_epoch does
        # not disturb an iteration that prefetches.
        return (
            [(index, epoch) for index in order[first:last].tolist()]
            for first, last in bounds
        )

    def __len__(self) -> int:
        return len(self._batches) // self.world_size
