"""Waveforms for pre-training: the dataset, and the two ways to batch them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from speechbrain_e2v.corpora.audio import AudioError, read_audio
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES
from speechbrain_e2v.training.seeding import hash_uniform, stable_hash

# A decoder may give a few samples more or less than a header promises.
_LENGTH_SLACK = 0.01, 16


@dataclass(frozen=True)
class BadUtterance:
    """An utterance that could not be read while training, and why."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class GoodUtterance:
    """A waveform on its way into a batch."""

    id: str
    wav: torch.Tensor
    """[S], normalised over the whole utterance, at most ``max_samples``."""
    position: float
    """In [0, 1): where a further crop starts."""

    def cropped(self, samples: int) -> torch.Tensor:
        """The crop of this many samples, [samples]."""
        return _crop(self.wav, samples, self.position)


Item = GoodUtterance | BadUtterance


def _crop(wav: torch.Tensor, samples: int, position: float) -> torch.Tensor:
    start = int(position * (len(wav) - samples + 1))
    return wav[start : start + samples]


def crop_positions(seed: int, epoch: int, name: str) -> tuple[float, float]:
    """Two numbers in [0, 1) for an utterance, the same in every process.

    Where the crop to ``max_samples`` starts, and the crop within that.

    >>> crop_positions(1, 1, "a") == crop_positions(1, 2, "a")
    False
    """
    key = stable_hash(seed, epoch, "crop", name)
    outer, inner = hash_uniform([key], 2)[0].tolist()
    return outer, inner


class PretrainingDataset(Dataset):
    """Utterances by (index, epoch), as ``LengthBatchSampler`` asks for them.

    Every utterance is read whole and normalised over its whole length before
    it is cropped at random to ``max_samples`` (16,000 Hz), so that a crop
    keeps its loudness relative to the utterance (released code behaviour).
    Crops are a pure function of (seed, epoch, id).

    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, np.random.rand(8000), 8000)
    >>> data = PretrainingDataset([Utterance("a", str(path))], 9600, seed=1)
    >>> data[0, 5].wav.shape
    torch.Size([9600])
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        max_samples: int | None = None,
        seed: int = 0,
    ):
        if max_samples is not None and max_samples < MIN_SAMPLES:
            raise ValueError(
                f"max_samples is {max_samples}, but one frame needs "
                f"{MIN_SAMPLES} samples"
            )
        self.utterances = list(utterances)
        self.max_samples = max_samples
        self.seed = seed

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def lengths(self) -> np.ndarray:
        """[len(self)] int64: samples at 16,000 Hz before cropping."""
        return np.array(
            [utterance.samples_at_16k for utterance in self.utterances],
            dtype=np.int64,
        )

    def __getitem__(self, key: tuple[int, int]) -> Item:
        index, epoch = key
        utterance = self.utterances[index]
        try:
            wav = read_audio(utterance.wav, utterance.start, utterance.stop)
        except AudioError as error:
            return BadUtterance(utterance.id, utterance.wav, str(error))
        problem = _length_problem(utterance, len(wav))
        if problem:
            return BadUtterance(utterance.id, utterance.wav, problem)
        return self._prepared(utterance.id, wav, epoch)

    def _prepared(self, name: str, wav: torch.Tensor, epoch: int) -> Item:
        wav = normalise_waveform(wav[None])[0]  # [S]
        outer, inner = crop_positions(self.seed, epoch, name)
        if self.max_samples is not None and len(wav) > self.max_samples:
            wav = _crop(wav, self.max_samples, outer)
        return GoodUtterance(name, wav, inner)


class UtteranceStarts(PretrainingDataset):
    """The first ``max_samples`` of every utterance, as they are in the file.

    Nothing is drawn and nothing normalised: whoever cuts further does that.
    """

    def _prepared(self, name: str, wav: torch.Tensor, epoch: int) -> Item:
        return GoodUtterance(name, wav[: self.max_samples], 0.0)


def _length_problem(utterance: Utterance, samples: int) -> str | None:
    if samples < MIN_SAMPLES:
        return f"{samples} samples at 16 kHz; one frame needs {MIN_SAMPLES}"
    if utterance.num_samples:
        expected = utterance.samples_at_16k
        relative, absolute = _LENGTH_SLACK
        if abs(samples - expected) > relative * expected + absolute:
            return (
                f"{samples} samples at 16 kHz, but {expected} when training "
                "started; the file has changed"
            )
    return None


@dataclass(frozen=True)
class PretrainingBatch:
    """Waveforms of a batch."""

    ids: list[str]
    wav: torch.Tensor
    """[B, S] float32, normalised; padding is zero."""
    num_samples: torch.Tensor
    """[B] long, samples that are not padding."""
    skipped: list[BadUtterance] = field(default_factory=list)
    """What could not be read."""

    @property
    def is_empty(self) -> bool:
        """Whether no utterance could be read; ``wav`` is one row of zeros
        then, to be given no weight in the loss."""
        return not self.ids

    def __len__(self) -> int:
        return len(self.ids)

    def _map(
        self, function: Callable[[torch.Tensor], torch.Tensor]
    ) -> "PretrainingBatch":
        return replace(
            self,
            wav=function(self.wav),
            num_samples=function(self.num_samples),
        )

    def to(
        self, device: torch.device | str, non_blocking: bool = False
    ) -> "PretrainingBatch":
        """A copy of the batch with its tensors on a device."""
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "PretrainingBatch":
        """A copy in page-locked memory (DataLoader's ``pin_memory=True``)."""
        return self._map(torch.Tensor.pin_memory)


def _batch(
    items: Sequence[Item], waveforms: list[torch.Tensor]
) -> PretrainingBatch:
    skipped = [item for item in items if isinstance(item, BadUtterance)]
    ids = [item.id for item in items if isinstance(item, GoodUtterance)]
    if not ids:
        waveforms = [torch.zeros(MIN_SAMPLES)]
    num_samples = torch.tensor([len(wav) for wav in waveforms])
    wav = pad_sequence(waveforms, batch_first=True)  # [B, S]
    return PretrainingBatch(ids, wav, num_samples, skipped)


def crop_collate(items: Sequence[Item]) -> PretrainingBatch:
    """Batch waveforms by cropping all to the shortest (released behaviour).

    >>> short = GoodUtterance("a", torch.ones(500), 0.5)
    >>> long = GoodUtterance("b", torch.ones(700), 0.5)
    >>> crop_collate([short, long]).wav.shape
    torch.Size([2, 500])
    """
    good = [item for item in items if isinstance(item, GoodUtterance)]
    shortest = min((len(item.wav) for item in good), default=0)
    return _batch(items, [item.cropped(shortest) for item in good])


def pad_collate(items: Sequence[Item]) -> PretrainingBatch:
    """Batch whole waveforms (at most ``max_samples``), padded with zeros."""
    good = [item for item in items if isinstance(item, GoodUtterance)]
    return _batch(items, [item.wav for item in good])


def from_padded_batch(batch: object) -> PretrainingBatch:
    """What SpeechBrain's ``PaddedBatch`` holds under ``id`` and ``wav``.

    Waveforms under ``sig`` are taken, too. Each is normalised over its own
    length, as in :class:`PretrainingDataset`; padding becomes zero.

    >>> from speechbrain.dataio.batch import PaddedBatch
    >>> rows = [{"id": "a", "sig": torch.rand(800)},
    ...         {"id": "b", "sig": torch.rand(500)}]
    >>> from_padded_batch(PaddedBatch(rows)).num_samples
    tensor([800, 500])
    """
    for name in ("wav", "sig"):
        if hasattr(batch, "id") and hasattr(batch, name):
            data, relative = getattr(batch, name)
            data, relative = data.cpu(), relative.cpu()
            break
    else:
        raise ValueError(
            f"a batch of {type(batch).__name__} has no `id` and `wav`: let "
            "the dataset's output_keys be ['id', 'wav'], waveforms [S] of "
            "16,000 Hz."
        )
    num_samples = (relative * data.shape[1]).round().long()
    wav = normalise_waveform(data.float(), num_samples)
    return PretrainingBatch(list(batch.id), wav, num_samples)
