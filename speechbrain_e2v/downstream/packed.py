"""Batches of frozen features without padding."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.data import DataLoader, Dataset

from speechbrain_e2v.inference.feature_store import FeatureStore
from speechbrain_e2v.training.seeding import stable_hash


@dataclass(frozen=True)
class PackedBatch:
    """Frames [sum of T, D] of utterances one after the other.

    ``num_frames`` [B] are those of each; ``labels`` its class [B], or its
    ratings [B, n].
    """

    frames: torch.Tensor
    num_frames: torch.Tensor
    labels: torch.Tensor

    def to(self, device: str | torch.device) -> "PackedBatch":
        """The same batch on a device."""
        return replace(
            self,
            frames=self.frames.to(device),
            num_frames=self.num_frames.to(device),
            labels=self.labels.to(device),
        )


class PackedUtterances(Dataset):
    """Utterances of a feature store; an item is a whole batch.

    >>> from speechbrain_e2v.inference.feature_store import write_features
    >>> folder = write_features(
    ...     getfixture("tmp_path") / "store",
    ...     [("a", torch.ones(3, 2)), ("b", torch.zeros(5, 2))])
    >>> items = PackedUtterances(FeatureStore(folder), {"a": 1, "b": 0})
    >>> items[["b", "a"]].frames.shape
    torch.Size([8, 2])
    """

    def __init__(self, store: FeatureStore, labels: dict) -> None:
        self._store = store
        self._labels = labels

    def __getitem__(self, names: Sequence[str]) -> PackedBatch:
        frames, num_frames = self._store.packed(names)
        labels = torch.tensor([self._labels[name] for name in names])
        return PackedBatch(frames, num_frames, labels)

    def loader(self, batches: Iterable[list[str]]) -> DataLoader:
        """DataLoader over lists of utterance ids."""
        return DataLoader(self, sampler=batches, batch_size=None)


def batches_in_order(
    names: Sequence[str], batch_size: int = 512
) -> list[list[str]]:
    """Cut ids into lists, the last one shorter; by default for evaluations.

    >>> batches_in_order("abc", batch_size=2)
    [['a', 'b'], ['c']]
    """
    return [
        list(names[first : first + batch_size])
        for first in range(0, len(names), batch_size)
    ]


class ShuffledBatches:
    """Lists of ids in another order each epoch, the last one shorter.

    The order is a pure function of seed and epoch.
    """

    def __init__(
        self, names: Sequence[str], batch_size: int, seed: int
    ) -> None:
        self._names = list(names)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._names) // self._batch_size)

    def __iter__(self) -> Iterator[list[str]]:
        generator = torch.Generator().manual_seed(
            stable_hash("probe order", self._seed, self._epoch)
        )
        order = torch.randperm(len(self._names), generator=generator).tolist()
        names = [self._names[i] for i in order]
        yield from batches_in_order(names, self._batch_size)
