"""Any rate to 16,000 Hz, in bounded memory.

The filter is torchaudio's default (a sinc of 6 zero crossings under a Hann
window, roll-off 0.99), applied by scipy's polyphase filter. torchaudio itself
builds a kernel for every pair of input and output phases: 391 MB for 24,414 Hz,
5.6 GB for 44,101 Hz. soxr has a steeper filter and is faster still, but would
change every feature of 44.1 and 48 kHz corpora, which now stay within 1e-6.
"""

import math
import os
from functools import lru_cache

import numpy as np
import torch

from speechbrain_e2v.corpora.audio_file import check_rate
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99


def resample(wav: torch.Tensor, rate: int) -> torch.Tensor:
    """[S] at ``rate`` Hz as [ceil(S * 16000 / rate)] at 16,000 Hz.

    >>> resample(torch.zeros(24414), 24414).shape
    torch.Size([16000])
    """
    if rate == SAMPLE_RATE:
        return wav
    # Late: it takes longer to import than all of this package.
    from scipy.signal import resample_poly

    up, down = ratio(rate)
    return torch.from_numpy(
        resample_poly(wav.numpy(), up, down, window=_taps(up, down))
    )


def ratio(rate: int) -> tuple[int, int]:
    """So many samples at 16,000 Hz last as long as so many at ``rate``.

    >>> ratio(44100)
    (160, 441)
    """
    divisor = math.gcd(rate, SAMPLE_RATE)
    return SAMPLE_RATE // divisor, rate // divisor


def reach(rate: int) -> int:
    """How many samples before and behind it an output sample depends on.

    >>> reach(48000)
    19
    """
    up, down = ratio(rate)
    return math.ceil(_ZERO_CROSSINGS * down / (min(up, down) * _ROLLOFF))


@lru_cache(maxsize=8)
def _taps(up: int, down: int) -> np.ndarray:
    """Impulse response at ``up`` times the input's rate, odd and symmetric."""
    crossing = min(up, down) * _ROLLOFF / (up * down)  # of the sinc, a tap
    half = math.ceil(_ZERO_CROSSINGS / crossing)
    time = np.arange(-half, half + 1) * crossing
    time = time.clip(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.cos(time * (np.pi / 2 / _ZERO_CROSSINGS)) ** 2
    # resample_poly multiplies by `up` again.
    return (np.sinc(time) * window * crossing).astype(np.float32)


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
