"""What turns waveforms into frozen features: one module a kind of upstream.

A recipe's yaml names one under ``upstream``; ``--upstream NAME`` puts
``hparams/upstreams/NAME.yaml`` in its place.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch


class Extractor(Protocol):
    """Waveforms in, features out, whatever a waveform is batched with.

    ``digest`` is one of all that the features depend on, the audio excepted.
    """

    digest: str

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames [T, D], or one vector [D], of each waveform [S], 16 kHz."""


class Upstream(Extractor, Protocol):
    """An extractor that results can tell of.

    ``dim`` is D. ``description`` is the entry of ``results.json``: ``kind``,
    and of networks ``parameters`` (count), ``layer``, ``layers`` and
    ``batching``, which says why padding does not matter.
    """

    dim: int
    description: dict[str, Any]
