"""What turns waveforms into frozen features: one module a kind of upstream.

A recipe's yaml names one under ``upstream``; ``--upstream NAME`` puts
``hparams/upstreams/NAME.yaml`` in its place.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch


class Extractor(Protocol):
    """Waveforms in, features out, whatever a waveform is batched with.

    ``digest`` is one of all that the features depend on, the audio excepted.
    """

    digest: str

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames [T, D], or one vector [D], of each waveform [S], 16 kHz."""


@runtime_checkable
class Lookup(Protocol):
    """Features that are there already, by the id of an utterance."""

    digest: str

    def look_up(self, names: Sequence[str]) -> list[torch.Tensor]:
        """Features [D] or [T, D] of utterances."""


class Upstream(Extractor, Protocol):
    """An extractor that results can tell of.

    ``dim`` is D. ``description`` is the entry of ``results.json``: ``kind``,
    and of networks ``parameters`` (count), ``layer``, ``layers`` and
    ``batching``, which says why padding does not matter.
    """

    dim: int
    description: dict[str, Any]
