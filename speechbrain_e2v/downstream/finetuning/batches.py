"""Batches of waveforms, the same ones whatever trains on them.

An update is so many utterances; its micro-batches, of about the same length
each, are shared out over accumulation and processes. Which utterances make an
update is a pure function of seed and epoch, so that two processes train on
what one trains on with twice the accumulation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from torch.utils.data import DataLoader, Dataset

from speechbrain_e2v.downstream.finetuning.corpus import TunableCorpus
from speechbrain_e2v.lobes.batching import batches_by_length
from speechbrain_e2v.training.seeding import stable_hash

_WINDOW = 8  # updates within which utterances are sorted by length


@dataclass(frozen=True)
class TuningBatch:
    """Waveforms as they were read, [S] each, and targets [B, n]."""

    names: list[str]
    waveforms: list[torch.Tensor]
    targets: torch.Tensor


class TuningItems(Dataset):
    """Utterances by id. ``targets`` has a vector [n] for each of them."""

    def __init__(
        self, corpus: TunableCorpus, targets: Mapping[str, torch.Tensor]
    ) -> None:
        self._corpus = corpus
        self._targets = targets

    def __getitem__(self, name: str) -> TuningBatch:
        targets = self._targets[name][None]
        return TuningBatch([name], [self._corpus.waveform(name)], targets)

    @staticmethod
    def collate(items: Sequence[TuningBatch]) -> TuningBatch:
        """Several of them as one."""
        return TuningBatch(
            [name for item in items for name in item.names],
            [wav for item in items for wav in item.waveforms],
            torch.cat([item.targets for item in items]),
        )

    def training_loader(
        self, batches: "UpdateBatches", num_workers: int = 0
    ) -> SaveableDataLoader:
        """Loader that can be resumed in the middle of an epoch."""
        return SaveableDataLoader(
            self,
            batch_sampler=batches,
            collate_fn=self.collate,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
        )

    def loader(self, names: Sequence[str], batch_seconds: float) -> DataLoader:
        """Loader of each utterance once, neighbours in length together."""
        sizes = [self._corpus.samples(name) for name in names]
        batches = [
            [names[i] for i in batch]
            for batch in batches_by_length(sizes, batch_seconds)
        ]
        return DataLoader(self, batch_sampler=batches, collate_fn=self.collate)


class UpdateBatches:
    """Lists of ids; `micro_batches` in a row, over all ranks, are an update.

    Arguments
    ---------
    samples
        Length of each utterance, by id.
    batch_size
        Utterances an update; the last one of an epoch may have fewer or, where
        they are too few for its micro-batches, some more.
    weights
        How often an utterance is drawn relative to others; then an epoch is as
        many draws as there are utterances. None: every one once.

    Raises ValueError when there are fewer utterances than micro-batches.

    >>> batches = UpdateBatches({n: 400 for n in "abcde"}, 2, seed=1)
    >>> batches.set_epoch(1)
    >>> sorted(name for batch in batches for name in batch)
    ['a', 'b', 'c', 'd', 'e']
    """

    def __init__(
        self,
        samples: Mapping[str, int],
        batch_size: int,
        seed: int,
        weights: Mapping[str, float] | None = None,
        rank: int = 0,
        world_size: int = 1,
        batches_per_update: int = 1,
    ) -> None:
        self.rank, self.world_size = rank, world_size
        self._names = list(samples)
        self._samples = np.array([samples[name] for name in samples])
        self._seed = seed
        self._share = None
        if weights is not None:
            share = np.array([weights[name] for name in samples], dtype=float)
            self._share = share / share.sum()
        self._pieces = world_size * batches_per_update
        if batch_size < self._pieces or len(samples) < self._pieces:
            raise ValueError(
                f"batch_size is {batch_size} and {len(samples)} utterances "
                f"train, but an update has {self._pieces} micro-batches "
                f"({world_size} processes x {batches_per_update} "
                "accumulated): each needs an utterance"
            )
        self._batch_size = batch_size
        self.updates = max(1, len(samples) // batch_size)
        if len(samples) - self.updates * batch_size >= self._pieces:
            self.updates += 1
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration speaks of."""
        rng = np.random.default_rng(
            stable_hash("tuning order", self._seed, epoch)
        )
        count = len(self._names)
        if self._share is None:
            order = rng.permutation(count)
        else:
            order = rng.choice(count, count, p=self._share)
        window = _WINDOW * self._batch_size
        for first in range(0, count, window):
            here = order[first : first + window]
            by_length = np.argsort(self._samples[here], kind="stable")
            order[first : first + window] = here[by_length]
        ends = self._batch_size * np.arange(1, self.updates)
        updates = np.split(order, ends)
        self._micro_batches = [
            [self._names[i] for i in piece]
            for number in rng.permutation(self.updates)
            for piece in np.array_split(updates[number], self._pieces)
        ]

    def __len__(self) -> int:
        return self.updates * self._pieces // self.world_size

    def __iter__(self) -> Iterator[list[str]]:
        return iter(self._micro_batches[self.rank :: self.world_size])
