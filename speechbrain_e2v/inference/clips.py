"""What users hand over, files or arrays, as one kind of thing."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torchaudio.transforms import Resample

from speechbrain_e2v.corpora.audio import AudioError, read_audio
from speechbrain_e2v.corpora.audio_info import audio_infos
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE


class TooShort(ValueError):
    """Audio with less than one frame.

    Arguments
    ---------
    name : str
        The file.
    num_samples : int
        Its length at 16,000 Hz.
    minimum : int
        Receptive field of one frame, samples.

    Example
    -------
    >>> print(TooShort("a.wav", 160))
    a.wav: 160 samples at 16,000 Hz (10 ms), one frame needs 400 (25 ms); \
leave it out, or fill it up with zeros (pad_short=True, --pad_short)
    """

    def __init__(self, name, num_samples, minimum=MIN_SAMPLES):
        super().__init__(
            f"{name}: {num_samples} samples at 16,000 Hz "
            f"({1000 * num_samples / SAMPLE_RATE:.4g} ms), one frame needs "
            f"{minimum} ({1000 * minimum / SAMPLE_RATE:.4g} ms); leave it "
            "out, or fill it up with zeros (pad_short=True, --pad_short)"
        )


@dataclass(frozen=True, eq=False)
class Clip:
    """A file, a piece of one, or a waveform.

    Arguments
    ---------
    name : str
        Id of the clip; names its outputs and its errors.
    path : str or None
        Audio file.
    start, stop : float or None
        Seconds inside the file.
    waveform : torch.Tensor or None
        [S] mono, 16,000 Hz, instead of a file.

    Example
    -------
    >>> Clip("noise", waveform=torch.randn(8000)).read().shape
    torch.Size([8000])
    """

    name: str
    path: str | None = None
    start: float | None = None
    stop: float | None = None
    waveform: torch.Tensor | None = None

    @property
    def source(self):
        """The file, or the name of a waveform."""
        return self.path or self.name

    def read(self):
        """Return the waveform, [S] mono, 16,000 Hz."""
        if self.waveform is not None:
            return self.waveform
        return read_audio(self.path, self.start, self.stop)


def clips_of(audio, sample_rate=None):
    """Turn paths and arrays into clips.

    Arguments
    ---------
    audio : sequence
        Paths of audio files, or waveforms: tensors or arrays [S], or [S, C]
        as soundfile reads them; float, or int16 and int32 PCM.
    sample_rate : int or None
        Of all waveforms, Hz; files know theirs.

    Returns
    -------
    list of Clip

    Raises
    ------
    ValueError
        Naming the waveform, what is wrong with it and what to do.

    Example
    -------
    >>> import numpy as np
    >>> [clip] = clips_of([np.zeros((8000, 2), dtype=np.float32)], 8000)
    >>> clip.name, clip.read().shape
    ('array 0', torch.Size([16000]))
    """
    clips = []
    for index, item in enumerate(audio):
        if isinstance(item, (str, Path)):
            clips.append(Clip(str(item), path=str(item)))
        else:
            name = f"array {index}"
            clips.append(
                Clip(name, waveform=_waveform(name, item, sample_rate))
            )
    return clips


def _waveform(name, item, sample_rate):
    if sample_rate is None:
        raise ValueError(f"{name}: a waveform needs sample_rate=..., in Hz")
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
    # As for files: torchaudio.functional.resample makes a rougher kernel.
    return Resample(sample_rate, SAMPLE_RATE)(wav)


def measure(clips, minimum, progress=False):
    """Find lengths, and what is wrong, without decoding anything.

    Arguments
    ---------
    clips : sequence of Clip
    minimum : int
        Shorter ones are errors, samples at 16,000 Hz.
    progress : bool

    Returns
    -------
    list of int or ValueError
        Samples at 16,000 Hz, or an error, for each clip.

    Example
    -------
    >>> clips = clips_of(["no.wav", torch.randn(800)], sample_rate=16000)
    >>> [str(outcome)[:15] for outcome in measure(clips, 400)]
    ['no.wav: missing', '800']
    """
    paths = dict.fromkeys(clip.path for clip in clips if clip.path)
    headers = dict(zip(paths, audio_infos(paths, progress), strict=True))
    return [_samples(clip, headers.get(clip.path), minimum) for clip in clips]


def _samples(clip, header, minimum):
    if isinstance(header, AudioError):
        return header
    if header is None:
        samples = len(clip.waveform)
    else:
        start = round((clip.start or 0.0) * header.sample_rate)
        stop = header.num_samples
        if clip.stop is not None:
            stop = min(stop, round(clip.stop * header.sample_rate))
        if stop <= start:
            detail = f"{header.duration:g} s long"
            if (clip.start, clip.stop) != (None, None):
                detail += f", asked for {clip.start} to {clip.stop} s"
            return AudioError(clip.path, "empty", detail)
        samples = math.ceil((stop - start) * SAMPLE_RATE / header.sample_rate)
    if samples < minimum:
        return TooShort(clip.source, samples, minimum)
    return samples
