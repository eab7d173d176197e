"""Reading audio: headers in bulk, waveforms as mono 16,000 Hz."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import soundfile
import torch
from torchaudio.transforms import Resample
from tqdm import tqdm

from speechbrain_e2v.corpora.wave_header import (
    AudioInfo,
    TruncatedWave,
    read_wave_header,
)
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

__all__ = [
    "AudioError",
    "AudioInfo",
    "decode",
    "probe",
    "probe_many",
    "read_audio",
]

_WAYS_OUT = {
    "missing": "check the path, or prepare the manifest again",
    "unreadable": "copy the file again, or convert it to wav with ffmpeg",
    "truncated": "copy the file again, or rewrite it with ffmpeg -i IN OUT.wav",
    "empty": "leave it out of the manifest or restore it",
    "non_finite": "repair or leave out the file",
}
_THREADS = 8
_FILES_PER_TASK = 256
_WAITING = 1e-3  # seconds a file: a disk, no longer the memory


class AudioError(ValueError):
    """An audio file that cannot be used.

    Arguments
    ---------
    path : str or Path
        The file.
    reason : str
        ``"missing"``, ``"unreadable"``, ``"truncated"``, ``"empty"`` or
        ``"non_finite"``.
    detail : str
        The value that is wrong.

    Example
    -------
    >>> print(AudioError("a.wav", "empty", "0 samples"))
    a.wav: empty (0 samples); leave it out of the manifest or restore it
    """

    def __init__(self, path, reason, detail):
        super().__init__(path, reason, detail)
        self.path, self.reason, self.detail = str(path), reason, detail

    def __str__(self):
        return (
            f"{self.path}: {self.reason} ({self.detail}); "
            f"{_WAYS_OUT[self.reason]}"
        )


def probe(path):
    """Length, rate and channels of an audio file, from its header.

    Arguments
    ---------
    path : str or Path
        wav, or anything else that libsndfile reads (flac, aiff, mp3, ogg).

    Returns
    -------
    AudioInfo
        ``num_samples`` is 0 for a valid file without samples.

    Raises
    ------
    AudioError
        When the file is missing, unreadable or shorter than it says.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.flac"
    >>> soundfile.write(path, [0.0] * 800, 8000)
    >>> probe(path).duration
    0.1
    """
    try:
        info = read_wave_header(path)
        if info is not None:
            return info
        found = soundfile.info(str(path))
    except FileNotFoundError as error:
        raise AudioError(path, "missing", "no such file") from error
    except TruncatedWave as error:
        raise AudioError(path, "truncated", str(error)) from error
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(path, "unreadable", _cause(path, error)) from error
    return AudioInfo(
        found.frames, found.samplerate, found.channels, found.subtype
    )


def _cause(path, error):
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return "0 bytes"
    return getattr(error, "error_string", None) or str(error)


def _outcome(path):
    try:
        return probe(path)
    except AudioError as error:
        return error


def probe_many(paths, progress=True):
    """Probe many files; what cannot be read is returned, not raised.

    Arguments
    ---------
    paths : sequence of str or Path
        The files.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of AudioInfo or AudioError
        One per path, in the same order.

    Example
    -------
    >>> [outcome.reason for outcome in probe_many(["no.wav"], progress=False)]
    ['missing']
    """
    paths = list(paths)
    groups = [
        paths[i : i + _FILES_PER_TASK]
        for i in range(0, len(paths), _FILES_PER_TASK)
    ]
    outcomes = []
    with (
        ThreadPoolExecutor(_THREADS) as pool,
        tqdm(
            total=len(paths),
            desc="audio headers",
            unit="file",
            disable=not progress,
        ) as bar,
    ):

        def keep(found):
            outcomes.extend(found)
            bar.update(len(found))

        # Threads hide the waiting for a cold disk; where nothing waits, they
        # only wait for each other.
        left = iter(groups)
        for group in left:
            begin = time.perf_counter()
            keep([_outcome(path) for path in group])
            if time.perf_counter() - begin > _WAITING * len(group):
                break
        for found in pool.map(lambda g: [_outcome(p) for p in g], left):
            keep(found)
    return outcomes


@lru_cache(maxsize=16)
def _resampler(rate):
    return Resample(rate, SAMPLE_RATE)


def decode(path, start=None, stop=None):
    """Read an utterance as mono at the file's own rate.

    Arguments
    ---------
    path : str or Path
        The audio file.
    start, stop : float or None
        Seconds inside the file; ``stop`` beyond the end means the end.

    Returns
    -------
    tuple
        (Tensor [S] float32: the mean of the channels, rate in Hz).

    Raises
    ------
    AudioError
        When the file is missing, unreadable, empty in this interval, or
        holds a value that is not finite.

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
        if not Path(path).exists():
            raise AudioError(path, "missing", "no such file") from error
        raise AudioError(path, "unreadable", _cause(path, error)) from error
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


def read_audio(path, start=None, stop=None):
    """Read an utterance as mono 16,000 Hz.

    Arguments
    ---------
    path : str or Path
        The audio file.
    start, stop : float or None
        Seconds inside the file, as for :func:`decode`.

    Returns
    -------
    Tensor
        [S] float32: channels averaged, then resampled.

    Raises
    ------
    AudioError
        As :func:`decode`.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> read_audio(path, start=0.5).shape
    torch.Size([8000])
    """
    wav, rate = decode(path, start, stop)
    return wav if rate == SAMPLE_RATE else _resampler(rate)(wav)
