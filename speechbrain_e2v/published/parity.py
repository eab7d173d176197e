"""Numbers by which two copies of a model can be compared."""

import math
from typing import Any

import torch

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.head import PublishedHead


def fixed_signal() -> torch.Tensor:
    """One second of a gliding, pulsing tone [1, 16000], normalised."""
    time = torch.arange(SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    phase = 2 * math.pi * (120 * time + 40 * time.square())
    voice = sum(torch.sin(n * phase) / n for n in range(1, 20))
    pulse = 0.55 + 0.45 * torch.sin(2 * math.pi * 4 * time)
    return normalise_waveform((0.1 * pulse * voice).float()[None])


@torch.no_grad()
def fingerprint(
    encoder: Emotion2vecEncoder, head: PublishedHead | None = None
) -> dict[str, Any]:
    """Compute what must be equal between two copies of a model.

    ``weights_sha256`` to the last bit, ``features`` and ``probabilities`` on
    `fixed_signal` up to rounding of the machine (1e-4).
    """
    features = encoder(fixed_signal())  # [1, T, D]
    pooled = features.mean(1)
    result: dict[str, Any] = {
        "weights_sha256": weights_digest(encoder),
        "features": {
            "shape": list(features.shape[1:]),
            "mean": round(features.mean().item(), 6),
            "std": round(features.std().item(), 6),
            "first": [round(x, 5) for x in pooled[0, :5].tolist()],
        },
    }
    if head is not None:
        scores = head.probabilities(pooled)[0].tolist()
        result["probabilities"] = {
            name: round(score, 5)
            for name, score in zip(head.ids, scores, strict=True)
        }
    return result
