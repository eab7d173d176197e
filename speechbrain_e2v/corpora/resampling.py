"""Any rate to 16,000 Hz, in bounded memory.

The filter is torchaudio's default (a sinc of 6 zero crossings under a Hann
window, roll-off 0.99), applied by scipy's polyphase filter. torchaudio itself
builds a kernel for every pair of input and output phases: 391 MB for 24,414 Hz,
5.6 GB for 44,101 Hz. soxr has a steeper filter and is faster still, but would
change every feature of 44.1 and 48 kHz corpora, which now stay within 1e-6.
"""

import math
from functools import lru_cache

import numpy as np
import torch

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
