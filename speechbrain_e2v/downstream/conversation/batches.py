"""Samples of conversations as padded tensors, made once, and their batches."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.data import DataLoader, Dataset

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.conversation.networks import (
    INTERLOCUTOR,
    SPEAKER,
    SPECTATOR,
)
from speechbrain_e2v.downstream.conversation.samples import Sample
from speechbrain_e2v.downstream.conversation.text import Transcripts
from speechbrain_e2v.downstream.conversation.vectors import UtteranceVectors
from speechbrain_e2v.downstream.packed import batches_in_order
from speechbrain_e2v.training.seeding import stable_hash

# So many batches are sorted by length together: the larger, the less padding
# and the less chance in what shares a batch.
_POOL = 8


@dataclass(frozen=True)
class ConversationBatch:
    """Samples of up to L utterances.

    ``rows`` in the corpus's vectors, ``roles`` of the speakers and numbers of
    the ``turns`` are [B, L], ``lengths`` and ``labels`` [B].
    """

    rows: torch.Tensor
    roles: torch.Tensor
    turns: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor

    def to(self, device: str | torch.device) -> "ConversationBatch":
        """The same on a device, but for the lengths, which are read here."""
        return replace(
            self,
            rows=self.rows.to(device),
            roles=self.roles.to(device),
            turns=self.turns.to(device),
            labels=self.labels.to(device),
        )


class SampleTensors:
    """All samples of a corpus and what is known of their utterances.

    ``utterances`` are in the order of the rows of all ``inputs``, which are
    what sources have loaded.

    >>> a, b = (Utterance(n, "x.wav", spk=n, dialog="d") for n in "ab")
    >>> data = SampleTensors([a, b], [Sample(a, ((b,),))], [])
    >>> data.batch(["a"], {"a": 3}).roles.tolist()
    [[1]]
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        samples: Sequence[Sample],
        inputs: Iterable[UtteranceVectors | Transcripts],
    ) -> None:
        self.inputs = list(inputs)
        row = {u.id: number for number, u in enumerate(utterances)}
        count = [sum(map(len, sample.context)) for sample in samples]
        shape = len(samples), max(count)
        self._lengths = torch.tensor(count)
        self._rows = torch.zeros(shape, dtype=torch.long)
        self._roles = torch.full(shape, SPECTATOR, dtype=torch.int8)
        self._turns = torch.zeros(shape, dtype=torch.int16)
        self._number = {}
        for number, sample in enumerate(samples):
            said = [
                (row[u.id], _role(u.spk, sample), turn)
                for turn, spoken in enumerate(sample.context)
                for u in spoken
            ]
            filled = slice(0, len(said))
            columns = zip(*said, strict=True)
            for table, column in zip(
                (self._rows, self._roles, self._turns), columns, strict=True
            ):
                table[number, filled] = torch.tensor(column, dtype=table.dtype)
            self._number[sample.target.id] = number

    @property
    def digest(self) -> str:
        """Of the content."""
        digest = hashlib.sha256()
        for table in (self._rows, self._roles, self._turns, self._lengths):
            digest.update(table.numpy().tobytes())
        described = [(i.digest, i.description) for i in self.inputs]
        digest.update(json.dumps(described, sort_keys=True).encode())
        return digest.hexdigest()

    def length(self, name: str) -> int:
        """Utterances in the context of a sample."""
        return int(self._lengths[self._number[name]])

    def context_rows(self, names: Sequence[str]) -> list[int]:
        """Rows of all utterances that samples are predicted from, each once."""
        chosen = [self._number[name] for name in names]
        rows, lengths = self._rows[chosen], self._lengths[chosen]
        real = torch.arange(rows.shape[1]) < lengths[:, None]
        return rows[real].unique().tolist()

    def batch(
        self, names: Sequence[str], labels: Mapping[str, int]
    ) -> ConversationBatch:
        """A batch, as long as its longest sample."""
        chosen = torch.tensor([self._number[name] for name in names])
        lengths = self._lengths[chosen]
        longest = int(lengths.max())
        return ConversationBatch(
            self._rows[chosen, :longest],
            self._roles[chosen, :longest],
            self._turns[chosen, :longest].long(),
            lengths,
            torch.tensor([labels[name] for name in names]),
        )

    def loader(
        self, batches: Iterable[list[str]], labels: Mapping[str, int]
    ) -> DataLoader:
        """DataLoader over lists of sample names."""
        return DataLoader(
            _Batches(self, labels), sampler=batches, batch_size=None
        )


def _role(speaker: str | None, sample: Sample) -> int:
    if speaker == sample.target.spk:
        return SPEAKER
    return INTERLOCUTOR if speaker == sample.interlocutor else SPECTATOR


class _Batches(Dataset):
    """An item is a whole batch."""

    def __init__(self, data, labels):
        self._data = data
        self._labels = labels

    def __getitem__(self, names):
        return self._data.batch(names, self._labels)


class BatchesOfLikeLength:
    """Lists of names in another order each epoch, alike in length.

    Of every so many batches drawn at random the samples are sorted by length
    before they are dealt out, and the batches come in random order. Recurrent
    steps are then shared by whole batches. A pure function of seed and epoch.

    >>> batches = BatchesOfLikeLength({"a": 9, "b": 1, "c": 9, "d": 1}, 2, 1)
    >>> sorted(sorted(batch) for batch in batches)
    [['a', 'c'], ['b', 'd']]
    """

    def __init__(
        self, lengths: Mapping[str, int], batch_size: int, seed: int
    ) -> None:
        self._lengths = dict(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._batch_size)

    def __iter__(self) -> Iterator[list[str]]:
        generator = torch.Generator().manual_seed(
            stable_hash("conversation order", self._seed, self._epoch)
        )

        def shuffled(items):
            order = torch.randperm(len(items), generator=generator)
            return [items[i] for i in order.tolist()]

        names = shuffled(list(self._lengths))
        size, pool = self._batch_size, self._batch_size * _POOL
        batches = []
        for some in batches_in_order(names, pool):
            some.sort(key=self._lengths.__getitem__)
            batches += batches_in_order(some, size)
        yield from shuffled(batches)
