"""What users hand over, files or arrays, as one kind of thing."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from speechbrain_e2v.corpora.audio import (
    AudioError,
    nothing_between,
    read_audio,
)
from speechbrain_e2v.corpora.audio_file import check_rate
from speechbrain_e2v.corpora.audio_header import AudioInfo
from speechbrain_e2v.corpora.audio_info import audio_infos
from speechbrain_e2v.corpora.resampling import resample
from speechbrain_e2v.inference.read_ahead import read_ahead
from speechbrain_e2v.lobes.batching import batches_by_length
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE


class TooShort(ValueError):
    """Audio with less than one frame, whose receptive field is `minimum`.

    >>> print(TooShort("a.wav", 160))
    a.wav: 160 samples at 16,000 Hz (10 ms), one frame needs 400 (25 ms); \
leave it out, or fill it up with zeros (pad_short=True, --pad_short)
    """

    def __init__(self, name: str, num_samples: int, minimum: int = MIN_SAMPLES):
        super().__init__(name, num_samples, minimum)

    def __str__(self) -> str:
        name, samples, minimum = self.args
        return (
            f"{name}: {samples} samples at 16,000 Hz "
            f"({1000 * samples / SAMPLE_RATE:.4g} ms), one frame needs "
            f"{minimum} ({1000 * minimum / SAMPLE_RATE:.4g} ms); leave it "
            "out, or fill it up with zeros (pad_short=True, --pad_short)"
        )


@dataclass(frozen=True, eq=False)
class Clip:
    """A file, a piece of one (start, stop in seconds), or a waveform.

    Of a file `channel` is read (0 is the first; None: their mean). A waveform
    is [S] mono, 16,000 Hz. The name is the clip's id, for its outputs and its
    errors.

    >>> Clip("noise", waveform=torch.randn(8000)).read().shape
    torch.Size([8000])
    """

    name: str
    path: str | None = None
    start: float | None = None
    stop: float | None = None
    waveform: torch.Tensor | None = None
    channel: int | None = None

    @property
    def source(self) -> str:
        """The file, or the name of a waveform."""
        return self.path or self.name

    def read(self) -> torch.Tensor:
        """Return the waveform, [S] mono, 16,000 Hz."""
        if self.waveform is not None:
            return self.waveform
        return read_audio(self.source, self.start, self.stop, self.channel)


Audio: TypeAlias = str | Path | np.ndarray | torch.Tensor | Clip


def listed(audio: Audio | Sequence[Audio]) -> tuple[list[Audio], bool]:
    """What somebody gave as a list, and whether it was one thing alone."""
    if isinstance(audio, (str, Path, Clip, np.ndarray, torch.Tensor)):
        return [audio], True
    return list(audio), False


def clips_of(
    audio: Sequence[Audio], sample_rate: int | None = None
) -> list[Clip]:
    """Turn paths and arrays into clips.

    Waveforms are tensors or arrays [S], or [S, C] as soundfile reads them;
    float, or int16 and int32 PCM, all of `sample_rate` Hz. Files know theirs.

    Raises ValueError naming the waveform, what is wrong with it and what to
    do.

    >>> [clip] = clips_of([np.zeros((8000, 2), dtype=np.float32)], 8000)
    >>> clip.name, clip.read().shape
    ('array 0', torch.Size([16000]))
    """
    return [
        clip_of(item, sample_rate, f"array {index}")
        for index, item in enumerate(audio)
    ]


def clip_of(item: Audio, sample_rate: int | None, name: str) -> Clip:
    """Turn one of them into a clip; a waveform gets this name."""
    if isinstance(item, Clip):
        return item
    if isinstance(item, (str, Path)):
        return Clip(str(item), path=str(item))
    return Clip(name, waveform=_waveform(name, item, sample_rate))


def _waveform(
    name: str, item: np.ndarray | torch.Tensor, sample_rate: int | None
) -> torch.Tensor:
    if sample_rate is None:
        raise ValueError(f"{name}: a waveform needs sample_rate=..., in Hz")
    check_rate(name, sample_rate)
    wav = torch.as_tensor(item).detach().cpu()
    if wav.dtype in (torch.int16, torch.int32):
        wav = wav.float() / (torch.iinfo(wav.dtype).max + 1)
    elif wav.is_floating_point():
        wav = wav.float()
    else:
        raise ValueError(
            f"{name}: values are {wav.dtype}; give float32, int16 or int32"
        )
    if wav.dim() == 2 and wav.shape[1] <= wav.shape[0]:
        wav = wav.mean(dim=1)
    if wav.dim() != 1 or not len(wav):
        raise ValueError(
            f"{name}: shape {tuple(wav.shape)}; give [samples] or "
            "[samples, channels]"
        )
    finite = torch.isfinite(wav)
    if not finite.all():
        index = int((~finite).nonzero()[0])
        raise AudioError(name, "non_finite", f"sample {index} is {wav[index]}")
    return resample(wav, sample_rate)


def measure(
    clips: Sequence[Clip], minimum: int, progress: bool = False
) -> list[int | ValueError]:
    """Find lengths, and what is wrong, without decoding anything.

    Gives samples at 16,000 Hz or an error for each clip; shorter ones than
    `minimum` are errors.

    >>> clips = clips_of(["no.wav", torch.randn(800)], sample_rate=16000)
    >>> [str(outcome)[:15] for outcome in measure(clips, 400)]
    ['no.wav: missing', '800']
    """
    paths = dict.fromkeys(clip.path for clip in clips if clip.path)
    headers = dict(zip(paths, audio_infos(paths, progress), strict=True))
    return [_samples(clip, headers.get(clip.source), minimum) for clip in clips]


def _samples(
    clip: Clip, header: AudioInfo | AudioError | None, minimum: int
) -> int | ValueError:
    if isinstance(header, AudioError):
        return header
    if header is None:
        samples = len(clip.read())
    else:
        start = round((clip.start or 0.0) * header.sample_rate)
        stop = header.num_samples
        if clip.stop is not None:
            stop = min(stop, round(clip.stop * header.sample_rate))
        if stop <= start:
            return nothing_between(
                clip.source,
                header.num_samples,
                header.sample_rate,
                clip.start,
                clip.stop,
            )
        samples = math.ceil((stop - start) * SAMPLE_RATE / header.sample_rate)
    if samples < minimum:
        return TooShort(clip.source, samples, minimum)
    return samples


def plan_batches(
    lengths: Sequence[int | ValueError], batch_seconds: float
) -> list[list[int]]:
    """`batches_by_length` of the clips that `measure` found usable."""
    usable = {i: n for i, n in enumerate(lengths) if isinstance(n, int)}
    places = list(usable)
    batches = batches_by_length(list(usable.values()), batch_seconds)
    return [[places[position] for position in batch] for batch in batches]


def read_batches(
    clips: Sequence[Clip], batches: Iterable[list[int]], minimum: int
) -> Iterator[dict[int, torch.Tensor | ValueError]]:
    """Read the waveforms of batches, a few ahead in threads.

    A file whose header is in order may still be cut or broken: its error
    stands in its place.
    """

    def read(batch: list[int]) -> dict[int, torch.Tensor | ValueError]:
        return {index: _waveform_of(clips[index], minimum) for index in batch}

    for _, found in read_ahead(read, batches):
        yield found


def _waveform_of(clip: Clip, minimum: int) -> torch.Tensor | ValueError:
    try:
        wav = clip.read()
    except ValueError as error:
        return error
    if len(wav) < minimum:  # shorter than its header says
        return TooShort(clip.source, len(wav), minimum)
    return wav
