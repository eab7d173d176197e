"""Long files, a piece at a time: what fits in memory never grows."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch

from speechbrain_e2v.corpora.audio import mono_blocks
from speechbrain_e2v.corpora.audio_file import open_audio
from speechbrain_e2v.corpora.resampling import ratio, reach, resample
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


def audio_blocks(
    path: str | Path, block_seconds: float = 30.0, channel: int | None = None
) -> Iterator[torch.Tensor]:
    """Read a file as consecutive pieces [S] of mono 16,000 Hz.

    The pieces joined are what `read_audio` returns for the whole file: each
    is resampled together with the samples around it that its first and last
    outputs depend on. Errors and `channel` are those of `read_audio`.

    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.0]] * 8000, 8000)
    >>> sum(len(block) for block in audio_blocks(path, block_seconds=0.4))
    16000
    """
    with open_audio(path) as file:
        rate = file.samplerate
        period_out, period_in = ratio(rate)
        edge = math.ceil(reach(rate) / period_in) * period_in
        size = round(block_seconds * rate / period_in) * period_in
        size = max(size, edge, period_in)
        pieces = mono_blocks(file, path, channel=channel, block=size)
        if rate == SAMPLE_RATE:
            yield from pieces
            return
        held = torch.zeros(0)  # edge before the piece, the piece, edge behind
        before = 0
        for piece in pieces:
            held = torch.cat([held, piece])
            ready = len(held) - before - edge  # has all that is behind it
            ready -= ready % period_in
            if ready <= 0:
                continue
            start = before // period_in * period_out
            stop = start + ready // period_in * period_out
            yield resample(held[: before + ready + edge], rate)[start:stop]
            kept = min(edge, before + ready)
            held, before = held[before + ready - kept :], kept
        last = resample(held, rate)[before // period_in * period_out :]
        if len(last):
            yield last
