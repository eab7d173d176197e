"""Waveforms for pre-training: the dataset, and the two ways to batch them."""

from dataclasses import dataclass, field, replace

import numpy
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from speechbrain_e2v.corpora.audio import AudioError, read_audio
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES
from speechbrain_e2v.training.seeding import hash_uniform, stable_hash

# A decoder may give a few samples more or less than a header promises.
_LENGTH_SLACK = 0.01, 16


@dataclass(frozen=True)
class BadUtterance:
    """An utterance that could not be read while training.

    Arguments
    ---------
    id, path, reason : str
        Which utterance, which file, and why.

    Example
    -------
    >>> BadUtterance("a", "a.wav", "missing").reason
    'missing'
    """

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class GoodUtterance:
    """A waveform on its way into a batch.

    Arguments
    ---------
    id : str
        Utterance id.
    wav : Tensor
        [S] normalised over the whole utterance, at most ``max_samples``.
    position : float
        In [0, 1): where a further crop starts.

    Example
    -------
    >>> GoodUtterance("a", torch.arange(5), 0.5).cropped(2)
    tensor([2, 3])
    """

    id: str
    wav: torch.Tensor
    position: float

    def cropped(self, samples):
        """The crop of this many samples, [samples]."""
        return _crop(self.wav, samples, self.position)


def _crop(wav, samples, position):
    start = int(position * (len(wav) - samples + 1))
    return wav[start : start + samples]


def crop_positions(seed, epoch, name):
    """Two numbers in [0, 1) for an utterance, the same in every process.

    Arguments
    ---------
    seed, epoch : int
        Vary between runs and epochs.
    name : str
        Utterance id.

    Returns
    -------
    tuple of float
        Where the crop to ``max_samples`` starts, and the crop within that.

    Example
    -------
    >>> crop_positions(1, 1, "a") == crop_positions(1, 2, "a")
    False
    """
    key = stable_hash(seed, epoch, "crop", name)
    return tuple(hash_uniform([key], 2)[0].tolist())


class PretrainingDataset(Dataset):
    """Utterances by (index, epoch), as ``LengthBatchSampler`` asks for them.

    Every utterance is read whole and normalised over its whole length before
    it is cropped (released code behaviour), so that a crop keeps its loudness
    relative to the utterance.

    Arguments
    ---------
    utterances : sequence of Utterance
        As :func:`check_pretraining` returns them.
    max_samples : int or None
        Longer utterances are cropped at random, samples at 16,000 Hz.
    seed : int
        Of the crops, which are a pure function of (seed, epoch, id).

    Example
    -------
    >>> import soundfile
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, numpy.random.rand(8000), 8000)
    >>> data = PretrainingDataset([Utterance("a", str(path))], 9600, seed=1)
    >>> data[0, 5].wav.shape
    torch.Size([9600])
    """

    def __init__(self, utterances, max_samples=None, seed=0):
        if max_samples is not None and max_samples < MIN_SAMPLES:
            raise ValueError(
                f"max_samples is {max_samples}, but one frame needs "
                f"{MIN_SAMPLES} samples"
            )
        self.utterances = list(utterances)
        self.max_samples = max_samples
        self.seed = seed

    def __len__(self):
        return len(self.utterances)

    @property
    def lengths(self):
        """[len(self)] int64: samples at 16,000 Hz before cropping."""
        return numpy.array(
            [utterance.samples_at_16k for utterance in self.utterances],
            dtype=numpy.int64,
        )

    def __getitem__(self, key):
        index, epoch = key
        utterance = self.utterances[index]
        try:
            wav = read_audio(utterance.wav, utterance.start, utterance.stop)
        except AudioError as error:
            return BadUtterance(utterance.id, utterance.wav, str(error))
        problem = _length_problem(utterance, len(wav))
        if problem:
            return BadUtterance(utterance.id, utterance.wav, problem)
        wav = normalise_waveform(wav[None])[0]  # [S]
        outer, inner = crop_positions(self.seed, epoch, utterance.id)
        if self.max_samples is not None and len(wav) > self.max_samples:
            wav = _crop(wav, self.max_samples, outer)
        return GoodUtterance(utterance.id, wav, inner)


def _length_problem(utterance, samples):
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
    """Waveforms of a batch.

    Arguments
    ---------
    ids : list of str
        B utterance ids.
    wav : Tensor
        [B, S] float32, normalised; padding is zero.
    num_samples : Tensor
        [B] long, samples that are not padding.
    lengths : Tensor
        [B] float32, the same relative to S (SpeechBrain's way).
    skipped : list of BadUtterance
        What could not be read.

    Example
    -------
    >>> batch = crop_collate([BadUtterance("a", "a.wav", "missing")])
    >>> batch.is_empty, batch.wav.shape
    (True, torch.Size([1, 400]))
    """

    ids: list
    wav: torch.Tensor
    num_samples: torch.Tensor
    lengths: torch.Tensor
    skipped: list = field(default_factory=list)

    @property
    def is_empty(self):
        """Whether no utterance could be read; ``wav`` is one row of zeros
        then, to be given no weight in the loss."""
        return not self.ids

    def __len__(self):
        return len(self.ids)

    def _map(self, function):
        return replace(
            self,
            wav=function(self.wav),
            num_samples=function(self.num_samples),
            lengths=function(self.lengths),
        )

    def to(self, device, non_blocking=False):
        """A copy of the batch with its tensors on a device."""
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self):
        """A copy in page-locked memory (DataLoader's ``pin_memory=True``)."""
        return self._map(torch.Tensor.pin_memory)


def _batch(items, waveforms):
    skipped = [item for item in items if isinstance(item, BadUtterance)]
    ids = [item.id for item in items if isinstance(item, GoodUtterance)]
    if not ids:
        waveforms = [torch.zeros(MIN_SAMPLES)]
    num_samples = torch.tensor([len(wav) for wav in waveforms])
    wav = pad_sequence(waveforms, batch_first=True)  # [B, S]
    lengths = num_samples / wav.shape[1]
    return PretrainingBatch(ids, wav, num_samples, lengths, skipped)


def crop_collate(items):
    """Batch waveforms by cropping all to the shortest (released behaviour).

    Arguments
    ---------
    items : list of GoodUtterance or BadUtterance
        From :class:`PretrainingDataset`.

    Returns
    -------
    PretrainingBatch
        Without padding.

    Example
    -------
    >>> short = GoodUtterance("a", torch.ones(500), 0.5)
    >>> long = GoodUtterance("b", torch.ones(700), 0.5)
    >>> crop_collate([short, long]).wav.shape
    torch.Size([2, 500])
    """
    good = [item for item in items if isinstance(item, GoodUtterance)]
    shortest = min((len(item.wav) for item in good), default=0)
    return _batch(items, [item.cropped(shortest) for item in good])


def pad_collate(items):
    """Batch whole waveforms (at most ``max_samples``), padded with zeros.

    Arguments
    ---------
    items : list of GoodUtterance or BadUtterance
        From :class:`PretrainingDataset`.

    Returns
    -------
    PretrainingBatch
        ``num_samples`` tells the padding from the speech.

    Example
    -------
    >>> short = GoodUtterance("a", torch.ones(500), 0.5)
    >>> long = GoodUtterance("b", torch.ones(700), 0.5)
    >>> pad_collate([short, long]).num_samples
    tensor([500, 700])
    """
    good = [item for item in items if isinstance(item, GoodUtterance)]
    return _batch(items, [item.wav for item in good])
