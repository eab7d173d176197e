"""A baseline without any network: statistics of cepstra."""

import hashlib
import json
import warnings
from collections.abc import Sequence

import torch
import torchaudio

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


class MfccStatistics:
    """One vector per utterance from its mel-frequency cepstral coefficients.

    The coefficients (the 0th, energy, included) and their first and second
    differences, over windows of 25 ms each 10 ms; of every row mean, standard
    deviation and two quantiles: the tails of a row say more about its range
    than minimum and maximum, which single frames decide. Loudness is kept:
    waveforms are not normalised. The number of mel bands is torchaudio's
    default: a floor is not tuned on the scores that it is compared with.

    >>> upstream = MfccStatistics()
    >>> upstream.dim
    480
    >>> upstream.extract([torch.randn(16000)])[0].shape
    torch.Size([480])
    """

    def __init__(
        self,
        n_mfcc: int = 40,
        n_mels: int = 128,
        quantiles: Sequence[float] = (0.1, 0.9),
        device: str = "cpu",
    ) -> None:
        self.description = {
            "kind": "statistics of MFCCs",
            "n_mfcc": n_mfcc,
            "n_mels": n_mels,
            "differences": 2,
            "statistics": ["mean", "standard deviation"],
            "quantiles": list(quantiles),
            "preprocessing": "16 kHz mono, not normalised",
        }
        text = json.dumps(self.description, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.dim = n_mfcc * 3 * (2 + len(quantiles))
        self._device = device
        self._quantiles = torch.tensor(quantiles, device=device)
        self._window = int(0.025 * SAMPLE_RATE)
        with warnings.catch_warnings():
            # The lowest of the bands are narrower than a bin of the spectrum.
            warnings.filterwarnings("ignore", message=".*mel filterbank.*")
            self._mfcc = torchaudio.transforms.MFCC(
                SAMPLE_RATE,
                n_mfcc=n_mfcc,
                melkwargs={
                    "n_fft": self._window,
                    "hop_length": int(0.010 * SAMPLE_RATE),
                    "n_mels": n_mels,
                    "center": False,
                },
            ).to(device)

    @torch.no_grad()
    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Statistics [D] of each waveform [S], 16 kHz.

        One shorter than a window (25 ms) is filled up with zeros.
        """
        return [self._statistics(waveform) for waveform in waveforms]

    def _statistics(self, waveform: torch.Tensor) -> torch.Tensor:
        missing = max(0, self._window - len(waveform))
        waveform = torch.nn.functional.pad(waveform, (0, missing))
        static = self._mfcc(waveform.to(self._device))  # [n_mfcc, T]
        first = torchaudio.functional.compute_deltas(static)
        second = torchaudio.functional.compute_deltas(first)
        rows = torch.cat([static, first, second])
        quantiles = rows.quantile(self._quantiles, dim=1)  # [Q, rows]
        deviation = rows.std(dim=1, unbiased=False)  # finite for one frame
        parts = [rows.mean(dim=1), deviation, quantiles.flatten()]
        return torch.cat(parts).cpu()
