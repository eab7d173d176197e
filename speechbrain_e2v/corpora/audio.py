"""Reading audio: waveforms as mono 16,000 Hz."""

import logging
import os
from collections.abc import Iterator
from functools import lru_cache

import soundfile
import torch

from speechbrain_e2v.corpora.audio_file import (
    MP3_FRAME,
    AudioError,
    AudioFile,
    open_audio,
)
from speechbrain_e2v.corpora.resampling import StreamResampler, resample

_logger = logging.getLogger(__name__)

_BLOCK_VALUES = 2**18  # samples of all channels that are decoded at a time
# Of the channels' energy; independent channels keep 1 / channels in the mean.
_CANCELLED = 0.05


def mono_blocks(
    file: AudioFile,
    path: str | os.PathLike,
    start: float | None = None,
    stop: float | None = None,
    channel: int | None = None,
    block: int | None = None,
) -> Iterator[torch.Tensor]:
    """Pieces [S] float32 of an opened file, at its own rate.

    The mean of the channels, or one of them (0 is the first), from ``start``
    to ``stop`` seconds; ``stop`` beyond the end means the end. ``block``
    samples are decoded at a time. A warning tells when channels cancel each
    other. Raises AudioError when nothing is in this interval, when a value is
    not finite, and when fewer samples come than the header announces.
    """
    if start is not None and start < 0:
        raise ValueError(f"{path}: start is {start} s; it must not be negative")
    if channel is not None and not 0 <= channel < file.channels:
        raise AudioError(
            path,
            "no_channel",
            f"channel {channel} of {file.channels}, the first is 0",
        )
    rate = file.samplerate
    block = block or max(1, _BLOCK_VALUES // file.channels)
    first = position = round((start or 0.0) * rate)
    last = file.frames
    if stop is not None:
        last = round(stop * rate) if last is None else min(
            last, round(stop * rate))  # fmt: skip
    if last is not None and first >= last:
        raise nothing_between(path, file.frames or 0, rate, start, stop)
    if first:
        file.skip(first)
    energy, mixed = 0.0, 0.0
    while last is None or position < last:
        wanted = block if last is None else min(block, last - position)
        try:
            frames = torch.from_numpy(file.read(wanted))  # [S, C]
        except soundfile.LibsndfileError as error:
            raise AudioError(
                path,
                "truncated",
                f"decoding fails after {position} samples, the header "
                f"announces {file.frames or 'no number'}",
            ) from error
        if not len(frames):
            break
        wav = frames.mean(dim=1) if channel is None else frames[:, channel]
        finite = torch.isfinite(wav)
        if not finite.all():
            index = int((~finite).nonzero()[0])
            raise AudioError(
                path,
                "non_finite",
                f"sample {position + index} is {wav[index]:g}",
            )
        if channel is None and file.channels > 1:
            energy += float(frames.square().mean()) * len(frames)
            mixed += float(wav.square().sum())
        position += len(frames)
        yield wav
    _check_end(path, file, first, position, last)
    if mixed < _CANCELLED * energy:
        _warn_of_cancelling(str(path), round(100 * mixed / energy, 1))


def _check_end(
    path: str | os.PathLike,
    file: AudioFile,
    first: int,
    position: int,
    last: int | None,
) -> None:
    slack = MP3_FRAME if file.is_estimate else 0
    if last is not None and position < last - slack:
        raise AudioError(
            path,
            "truncated",
            f"the header announces {file.frames} samples, decoding ends after "
            f"{position}",
        )
    if position <= first:
        raise AudioError(path, "empty", "no sample could be decoded")


def nothing_between(
    path: str | os.PathLike,
    frames: int,
    rate: int,
    start: float | None,
    stop: float | None,
) -> AudioError:
    """An error for an interval, seconds, that holds no sample of a file."""
    detail = f"{frames / rate:g} s long"
    if (start, stop) != (None, None):
        detail += f", asked for {start} to {stop} s"
    return AudioError(path, "empty", detail)


@lru_cache(maxsize=4096)  # once a file, not once an epoch
def _warn_of_cancelling(path: str, percent: float) -> None:
    _logger.warning(
        "%s: its channels cancel each other, their mean keeps %g %% of the "
        "energy; choose one (channel=0, --channel 0)",
        path,
        percent,
    )


def decode(
    path: str | os.PathLike,
    start: float | None = None,
    stop: float | None = None,
    channel: int | None = None,
) -> tuple[torch.Tensor, int]:
    """An utterance as mono, [S] float32, at the file's own rate, and that rate.

    Arguments and errors are those of :func:`mono_blocks` and
    :func:`open_audio`.

    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> wav, rate = decode(path, start=0.5)
    >>> wav.shape, rate, float(wav[0])
    (torch.Size([4000]), 8000, 0.25)
    """
    with open_audio(path) as file:
        blocks = list(mono_blocks(file, path, start, stop, channel))
        return torch.cat(blocks), file.samplerate


def read_audio(
    path: str | os.PathLike,
    start: float | None = None,
    stop: float | None = None,
    channel: int | None = None,
) -> torch.Tensor:
    """An utterance as mono 16,000 Hz, [S] float32.

    Channels are averaged, or one is chosen, then the rest is resampled.
    Arguments and errors are those of :func:`decode`.

    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> read_audio(path, start=0.5).shape
    torch.Size([8000])
    """
    return resample(*decode(path, start, stop, channel))


def audio_blocks(
    path: str | os.PathLike,
    block_seconds: float = 30.0,
    channel: int | None = None,
) -> Iterator[torch.Tensor]:
    """Read a file as consecutive pieces [S] of mono 16,000 Hz.

    The pieces joined are what `read_audio` returns for the whole file.
    Errors, warnings and `channel` are those of `read_audio`.

    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> sum(len(block) for block in audio_blocks(path, block_seconds=0.4))
    16000
    """
    with open_audio(path) as file:
        rate = file.samplerate
        resampler = StreamResampler(rate, path)
        size = max(1, round(block_seconds * rate))
        for piece in mono_blocks(file, path, channel=channel, block=size):
            if len(block := resampler.add(piece)):
                yield block
        if len(block := resampler.finish()):
            yield block
