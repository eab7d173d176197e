"""A baseline without any network: eGeMAPS (Eyben et al., 2016) by openSMILE.

The 88 functionals of eGeMAPSv02: pitch, loudness, spectrum and voice quality
over an utterance. openSMILE is an extra, free for research but not for
products: see its licence.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_SHORTEST = int(0.1 * SAMPLE_RATE)  # openSMILE has no value for less than 60 ms


class Egemaps:
    """One vector [88] per utterance; loudness is kept.

    Raises ValueError, with the way to install it, without openSMILE.
    """

    dim = 88

    def __init__(self, device: str = "cpu") -> None:
        try:
            import opensmile
        except ImportError as error:
            raise ValueError(
                "eGeMAPS is computed by openSMILE: pip install "
                "'speechbrain_e2v[egemaps]' (free for research; see its "
                "licence)"
            ) from error
        self._smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02,
            feature_level=opensmile.FeatureLevel.Functionals,
        )
        self.description = {
            "kind": "eGeMAPS functionals",
            "feature_set": "eGeMAPSv02",
            "opensmile": opensmile.__version__,
            "preprocessing": "16 kHz mono, not normalised",
        }
        text = f"eGeMAPSv02|{opensmile.__version__}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Functionals [88] of each waveform [S], 16 kHz.

        One shorter than 0.1 s is filled up with zeros.
        """
        filled = (pad(w, (0, max(0, _SHORTEST - len(w)))) for w in waveforms)
        return [
            torch.tensor(
                self._smile.process_signal(w.numpy(), SAMPLE_RATE).values[0],
                dtype=torch.float32,
            )
            for w in filled
        ]
