"""TIM-Net's front end: 39 cepstra a frame of a waveform of fixed length.

librosa's defaults at 22,050 Hz, computed by torchaudio (equal within 5e-4 of
coefficients of hundreds): 2,048 samples each 512, centred, zeros outside; 128
bands of Slaney's scale, decibels down to 80 below the loudest. The band above
8 kHz is empty in speech recorded at 16 kHz; what is found there is the
resampler's, so the resampler is named: soxr, librosa's own since 0.10. The
paper's version of librosa took another, whose cepstra differ by 2.9 on
average.
"""

import hashlib
import json
from collections.abc import Sequence

import torch
import torchaudio

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

RATE = 22_050  # Hz
_HOP = 512


class TimnetMfcc:
    """Cepstra [1 + samples // 512, 39] of the middle of every waveform.

    ``samples`` is the length at 22,050 Hz to which a waveform is cut, or
    filled with zeros, on both sides; published: 96,000 for EmoDB and EMOVO,
    110,000 RAVDESS, 130,000 SAVEE, 310,000 IEMOCAP.

    Raises ValueError, with the way to install it, without soxr.
    """

    def __init__(self, samples: int, device: str = "cpu") -> None:
        try:
            import soxr
        except ImportError as error:
            raise ValueError(
                "TIM-Net's cepstra are of audio that soxr resamples: "
                "pip install 'speechbrain_e2v[timnet]'"
            ) from error
        self._soxr = soxr
        self._samples = samples
        self._device = device
        self.dim = 39
        self.description = {
            "kind": "MFCCs of TIM-Net",
            "parameters": 0,
            "n_mfcc": self.dim,
            "samples": samples,
            "resampler": f"soxr {soxr.__version__} HQ, 16,000 to {RATE:,} Hz",
            "preprocessing": "mono, not normalised",
        }
        text = json.dumps(self.description, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self._mfcc = torchaudio.transforms.MFCC(
            RATE,
            n_mfcc=self.dim,
            melkwargs={
                "n_fft": 2048,
                "hop_length": _HOP,
                "n_mels": 128,
                "norm": "slaney",
                "mel_scale": "slaney",
                "pad_mode": "constant",
            },
        ).to(device)

    @torch.no_grad()
    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Cepstra [T, 39] of each waveform [S], 16 kHz, all of one T."""
        return [
            self.cepstra(
                torch.from_numpy(
                    self._soxr.resample(
                        wav.numpy(), SAMPLE_RATE, RATE, quality="HQ"
                    )
                )
            )
            for wav in waveforms
        ]

    def cepstra(self, waveform: torch.Tensor) -> torch.Tensor:
        """Cepstra [T, 39] of a waveform [S] at 22,050 Hz."""
        missing = self._samples - len(waveform)
        # Cut or filled; of an odd number the right side has one more zero.
        first = max(0, -missing) // 2
        waveform = waveform[first : first + self._samples]
        left = max(0, missing) // 2
        filled = torch.nn.functional.pad(
            waveform, (left, self._samples - len(waveform) - left)
        )
        return self._mfcc(filled.to(self._device)).T.cpu()
