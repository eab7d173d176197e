"""Long files, a piece at a time: what fits in memory never grows."""

import math
from collections.abc import Iterator
from pathlib import Path

import soundfile
import torch
from torchaudio.transforms import Resample

from speechbrain_e2v.corpora.audio import AudioError
from speechbrain_e2v.corpora.audio_info import audio_info
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_KERNEL_HALF_WIDTH = 6  # zero crossings of torchaudio's default resampler
_ROLLOFF = 0.99


def audio_blocks(
    path: str | Path, block_seconds: float = 30.0
) -> Iterator[torch.Tensor]:
    """Read a file as consecutive pieces [S] of mono 16,000 Hz.

    The pieces joined are what `read_audio` returns for the whole file: each
    is resampled together with the samples around it that its first and last
    outputs depend on. An AudioError names the first sample that is not
    finite.

    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> sum(len(block) for block in audio_blocks(path, block_seconds=0.4))
    16000
    """
    info = audio_info(path)
    if not info.num_samples:
        raise AudioError(path, "empty", "0 samples")
    rate = info.sample_rate
    if rate == SAMPLE_RATE:
        yield from _pieces(path, max(1, round(block_seconds * rate)))
        return
    divisor = math.gcd(rate, SAMPLE_RATE)
    period_in, period_out = rate // divisor, SAMPLE_RATE // divisor
    resample = Resample(rate, SAMPLE_RATE)
    # One output depends on so many inputs before and behind it.
    reach = _KERNEL_HALF_WIDTH * period_in
    reach = math.ceil(reach / (min(period_in, period_out) * _ROLLOFF)) + 1
    margin = math.ceil(reach / period_in) + 1  # periods
    size = max(margin, round(block_seconds * rate / period_in)) * period_in
    edge = margin * period_in
    held = torch.zeros(0)  # edge before the piece, the piece, edge behind it
    before = 0
    for piece in _pieces(path, size):
        held = torch.cat([held, piece])
        ready = len(held) - before - edge  # has all that is behind it
        ready -= ready % period_in
        if ready <= 0:
            continue
        start = before // period_in * period_out
        stop = start + ready // period_in * period_out
        yield resample(held[: before + ready + edge])[start:stop]
        kept = min(edge, before + ready)
        held, before = held[before + ready - kept :], kept
    start = before // period_in * period_out
    last = resample(held)[start:]
    if len(last):
        yield last


def _pieces(path: str | Path, size: int) -> Iterator[torch.Tensor]:
    position = 0
    with soundfile.SoundFile(str(path)) as file:
        while True:
            frames = file.read(size, dtype="float32", always_2d=True)
            if not len(frames):
                break
            piece = torch.from_numpy(frames).mean(dim=1)
            finite = torch.isfinite(piece)
            if not finite.all():
                index = int((~finite).nonzero()[0])
                raise AudioError(
                    path,
                    "non_finite",
                    f"sample {position + index} is {piece[index]:g}",
                )
            position += len(piece)
            yield piece
    if not position:
        raise AudioError(path, "empty", "no sample could be decoded")
