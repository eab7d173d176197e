"""MFCC statistics against a direct computation."""

import torch
import torchaudio

from speechbrain_e2v.downstream.upstreams.mfcc import MfccStatistics


def test_statistics_equal_a_direct_computation():
    torch.manual_seed(0)
    waveform = torch.randn(8000)
    upstream = MfccStatistics(n_mfcc=5, n_mels=40, quantiles=(0.1, 0.9))
    (found,) = upstream.extract([waveform])
    assert found.shape == (upstream.dim,) == (60,)
    rows = [
        torchaudio.transforms.MFCC(
            16000,
            n_mfcc=5,
            melkwargs={
                "n_fft": 400,
                "hop_length": 160,
                "n_mels": 40,
                "center": False,
            },
        )(waveform)
    ]
    for _ in range(2):
        padded = torch.nn.functional.pad(rows[-1], (2, 2), mode="replicate")
        frames = rows[-1].shape[1]
        # Regression over five frames: sum of n * x[t + n] over 10.
        rows.append(
            sum(n * padded[:, 2 + n : 2 + n + frames] for n in (-2, -1, 1, 2))
            / 10
        )
    rows = torch.cat(rows).double()
    ordered = rows.sort(dim=1).values

    def quantile(q):
        position = q * (rows.shape[1] - 1)
        low = int(position)
        step = ordered[:, low + 1] - ordered[:, low]
        return ordered[:, low] + (position - low) * step

    expected = torch.cat(
        [
            rows.mean(1),
            (rows - rows.mean(1, keepdim=True)).square().mean(1).sqrt(),
            quantile(0.1),
            quantile(0.9),
        ]
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=2e-3)


def test_short_and_silent_audio_is_finite():
    upstream = MfccStatistics()
    for waveform in (torch.randn(10), torch.zeros(3000), torch.randn(400)):
        assert upstream.extract([waveform])[0].isfinite().all()


def test_digest_is_of_the_settings():
    assert MfccStatistics().digest == MfccStatistics().digest
    assert MfccStatistics().digest != MfccStatistics(n_mfcc=13).digest
