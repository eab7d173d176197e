"""Long audio, a piece at a time: what fits in memory never grows."""

import math
import os
from collections.abc import Iterator

import torch

from speechbrain_e2v.corpora.audio import mono_blocks
from speechbrain_e2v.corpora.audio_file import check_rate, open_audio
from speechbrain_e2v.corpora.resampling import ratio, reach, resample
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


class StreamResampler:
    """Resamples a stream to 16,000 Hz, as if it were one waveform.

    Every piece is resampled together with the samples around it that its
    first and last outputs depend on. An AudioError names a `rate` that no
    recording has.

    >>> resampler = StreamResampler(8000)
    >>> len(resampler.add(torch.zeros(800))) + len(resampler.finish())
    1600
    """

    def __init__(self, rate: int, name: str | os.PathLike = "stream") -> None:
        check_rate(name, rate)
        self._rate = rate
        self._period_out, self._period = ratio(rate)
        self._edge = math.ceil(reach(rate) / self._period) * self._period
        self._held = torch.zeros(0)  # edge before the piece, and what is new
        self._before = 0

    def add(self, wav: torch.Tensor) -> torch.Tensor:
        """Take samples [S]; give what does not depend on later ones."""
        if self._rate == SAMPLE_RATE:
            return wav
        held = self._held = torch.cat([self._held, wav])
        ready = len(held) - self._before - self._edge
        ready -= ready % self._period
        if ready <= 0:
            return held[:0]
        end = self._before + ready
        start = self._before // self._period * self._period_out
        stop = start + ready // self._period * self._period_out
        found = resample(held[: end + self._edge], self._rate)[start:stop]
        self._before = min(self._edge, end)
        self._held = held[end - self._before :].clone()
        return found

    def finish(self) -> torch.Tensor:
        """Give the last samples."""
        if self._rate == SAMPLE_RATE or not len(self._held):
            return self._held
        start = self._before // self._period * self._period_out
        return resample(self._held, self._rate)[start:]


def audio_blocks(
    path: str | os.PathLike,
    block_seconds: float = 30.0,
    channel: int | None = None,
) -> Iterator[torch.Tensor]:
    """Read a file as consecutive pieces [S] of mono 16,000 Hz.

    The pieces joined are what `read_audio` returns for the whole file.
    Errors, warnings and `channel` are those of `read_audio`.

    >>> import soundfile
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
