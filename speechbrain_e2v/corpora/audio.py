"""Reading audio: waveforms as mono 16,000 Hz."""

import os
from functools import lru_cache
from pathlib import Path

import soundfile
import torch
from torchaudio.transforms import Resample

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_WAYS_OUT = {
    "missing": "check the path, or prepare the manifest again",
    "unreadable": "copy the file again, or convert it to wav with ffmpeg",
    "truncated": "copy the file again, or rewrite it with ffmpeg -i IN OUT.wav",
    "empty": "leave it out of the manifest or restore it",
    "non_finite": "repair or leave out the file",
}


class AudioError(ValueError):
    """An audio file that cannot be used: file, reason, value, way out.

    Example
    -------
    >>> print(AudioError("a.wav", "empty", "0 samples"))
    a.wav: empty (0 samples); leave it out of the manifest or restore it
    """

    def __init__(self, path: str | os.PathLike, reason: str, detail: str):
        super().__init__(path, reason, detail)
        self.path, self.reason, self.detail = str(path), reason, detail

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.reason} ({self.detail}); "
            f"{_WAYS_OUT[self.reason]}"
        )


def unreadable(path: str | os.PathLike, error: Exception) -> AudioError:
    """What to raise when the file system or libsndfile raised ``error``."""
    if not Path(path).exists():
        return AudioError(path, "missing", "no such file")
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return AudioError(path, "unreadable", "0 bytes")
    cause = getattr(error, "error_string", None) or str(error)
    return AudioError(path, "unreadable", cause)


@lru_cache(maxsize=16)
def _resampler(rate: int) -> Resample:
    return Resample(rate, SAMPLE_RATE)


def decode(
    path: str | os.PathLike,
    start: float | None = None,
    stop: float | None = None,
) -> tuple[torch.Tensor, int]:
    """An utterance as mono, [S] float32, at the file's own rate, and that rate.

    The mean of the channels from ``start`` to ``stop`` seconds; ``stop``
    beyond the end means the end. Raises AudioError when the file is missing,
    unreadable, empty in this interval, or holds a value that is not finite.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> wav, rate = decode(path, start=0.5)
    >>> wav.shape, rate, float(wav[0])
    (torch.Size([4000]), 8000, 0.25)
    """
    if start is not None and start < 0:
        raise ValueError(f"{path}: start is {start} s; it must not be negative")
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = file.samplerate
            first = round((start or 0.0) * rate)
            last = file.frames
            if stop is not None:
                last = min(last, round(stop * rate))
            if first >= last:
                detail = f"{file.frames / rate:g} s long"
                if (start, stop) != (None, None):
                    detail += f", asked for {start} to {stop} s"
                raise AudioError(path, "empty", detail)
            file.seek(first)
            frames = file.read(last - first, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise unreadable(path, error) from error
    if not len(frames):
        raise AudioError(path, "empty", "no sample could be decoded")
    wav = torch.from_numpy(frames).mean(dim=1)  # [S]
    finite = torch.isfinite(wav)
    if not finite.all():
        index = int((~finite).nonzero()[0])
        raise AudioError(
            path, "non_finite", f"sample {first + index} is {wav[index]:g}"
        )
    return wav, rate


def read_audio(
    path: str | os.PathLike,
    start: float | None = None,
    stop: float | None = None,
) -> torch.Tensor:
    """An utterance as mono 16,000 Hz, [S] float32.

    Channels are averaged, then resampled. Arguments and errors are those of
    :func:`decode`.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> read_audio(path, start=0.5).shape
    torch.Size([8000])
    """
    wav, rate = decode(path, start, stop)
    return wav if rate == SAMPLE_RATE else _resampler(rate)(wav)
