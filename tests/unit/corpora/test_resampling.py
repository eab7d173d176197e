"""Every rate by one filter: right, small, and as torchaudio where it can."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torchaudio.transforms import Resample

from speechbrain_e2v.corpora.resampling import ratio, reach, resample


def noise(samples):
    return torch.from_numpy(
        np.random.default_rng(0).uniform(-0.9, 0.9, samples).astype("f4")
    )


@pytest.mark.parametrize(
    ("rate", "tolerance"),
    # torchaudio computes the places of its taps in single precision, which
    # costs it more at rates that share few factors with 16,000.
    [(8000, 1e-6), (32000, 1e-6), (48000, 1e-6), (96000, 1e-6),
     (11025, 2e-4), (22050, 2e-4), (44100, 1e-4)],
)  # fmt: skip
def test_the_filter_is_torchaudios(rate, tolerance):
    wav = noise(rate + 7)
    theirs = Resample(rate, 16000)(wav)
    ours = resample(wav, rate)
    assert ours.dtype == torch.float32 and ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "rate", [1000, 7999, 11127, 24414, 44101, 47999, 96001, 191999]
)
def test_a_tone_stays_a_tone_at_every_rate(rate):
    time = torch.arange(2 * rate, dtype=torch.float64) / rate
    wav = resample(torch.sin(2 * torch.pi * 200 * time).float(), rate)
    assert len(wav) == 32000
    truth = torch.sin(
        2 * torch.pi * 200 * torch.arange(32000, dtype=torch.float64) / 16000
    )
    inside = slice(2000, 30000)
    assert (wav[inside] - truth[inside]).abs().max() < 5e-3


@pytest.mark.parametrize("rate", [8000, 24414, 44100, 48000])
def test_an_output_depends_on_so_many_inputs(rate):
    up, down = ratio(rate)
    wav = torch.zeros(20 * down if down > 100 else 20 * down * 30)
    middle = len(wav) // 2
    wav[middle] = 1.0
    touched = resample(wav, rate).nonzero()[:, 0]
    first, last = touched[0] * down / up, touched[-1] * down / up
    assert middle - reach(rate) <= first and last <= middle + reach(rate)


def test_memory_is_bounded_at_the_worst_rate():
    code = (
        "import resource, torch\n"
        "from speechbrain_e2v.corpora.resampling import resample\n"
        "resample(torch.zeros(8000), 8000)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "resample(torch.zeros(383_999), 383_999)\n"
        "print((peak() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 400  # MB; torchaudio asked for 24 GB at 191,999
