"""Several upstreams as one: a vector an utterance of each, side by side."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from speechbrain_e2v.downstream.upstreams import Upstream


class SideBySide:
    """One vector [sum of D] an utterance; frames are averaged over time.

    ``parts`` are called with a device, as an upstream of a yaml is.

    >>> from speechbrain_e2v.downstream.upstreams.mfcc import MfccStatistics
    >>> both = SideBySide([MfccStatistics, MfccStatistics])
    >>> both.dim, both.extract([torch.ones(900)])[0].shape
    (960, torch.Size([960]))
    """

    def __init__(
        self, parts: Sequence[Callable[..., Upstream]], device: str = "cpu"
    ) -> None:
        self._parts = [part(device=device) for part in parts]
        self.dim = sum(part.dim for part in self._parts)
        described = [part.description for part in self._parts]
        cards = [a["card"] for a in described if a.get("card") is not None]
        names = [(a.get("card") or {}).get("name") for a in described]
        self.description: dict[str, Any] = {
            "kind": " and ".join(
                name or about["kind"]
                for name, about in zip(names, described, strict=True)
            ),
            "parts": described,
            "parameters": sum(a.get("parameters", 0) for a in described),
            "batching": "as each part says",
        }
        if cards:
            self.description["card"] = _joined(cards)
        text = "|".join(["side by side", *(p.digest for p in self._parts)])
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Vectors [D] of waveforms [S], 16 kHz."""
        found = [part.extract(waveforms) for part in self._parts]
        return [
            torch.cat([torch.atleast_2d(rows).mean(dim=0) for rows in one])
            for one in zip(*found, strict=True)
        ]


def _joined(cards: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What any of the parts has heard; an empty name is audio of no corpus."""
    heard: dict[str, list[str]] = {"pretraining": [], "finetuning": []}
    for card in cards:
        for stage, names in heard.items():
            listed = card.get(stage) or []
            names += [listed] if isinstance(listed, str) else list(listed)
        if card.get("initialised_from") or not card.get("pretraining"):
            heard["pretraining"].append("")
    return heard
