"""What a published checkpoint holds, under our names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.published.head import PublishedHead

EMA = "_ema."
"""Before the teacher's names, where a file holds all tensors in one dict."""


@dataclass
class Published:
    """States of our modules, as found in a published file.

    `layout` is ``fairseq``, ``funasr``, ``data2vec1``, ``wavlm`` or
    ``huggingface``,
    `sizes` what `published.sizes` builds the encoder of, `teacher` a state of
    its context encoder, `decoder` one of what predicts masked frames.
    `dropped` tells what was left out and why that is well, `notes` what a
    careful reader may want to know.
    """

    layout: str
    sizes: dict[str, Any]
    encoder: dict[str, torch.Tensor]
    decoder: dict[str, torch.Tensor] | None = None
    decoder_sizes: dict[str, int] | None = None
    mask_embedding: torch.Tensor | None = None
    teacher: dict[str, torch.Tensor] | None = None
    head: PublishedHead | None = None
    dropped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    weights_file: Path = Path()
    config: dict[str, Any] | None = None

    @property
    def left_out(self) -> list[str]:
        """What an encoder folder of it will not contain, in words."""
        parts = dict(self.dropped)
        mask = () if self.mask_embedding is None else (self.mask_embedding,)
        for name, tensors in (
            ("decoder", self.decoder),
            ("mask embedding", mask),
            ("teacher (_ema)", self.teacher),
        ):
            if tensors:
                parts[name] = f"{len(tensors)} tensors, for pre-training"
        return [
            f"{shown(name)}: {what} - not needed for inference"
            for name, what in parts.items()
        ]


def prefix_of(names: Iterable[str], anchor: str) -> str | None:
    """Find what stands before an anchor's name, None without the anchor.

    >>> prefix_of(["d2v_model.norm.weight"], "norm.weight")
    'd2v_model.'
    """
    prefixes = [
        name.removesuffix(anchor)
        for name in names
        if name == anchor or name.endswith(f".{anchor}")
    ]
    return min(prefixes, key=len, default=None)


def finite_floats(
    value: torch.Tensor, name: str, origin: object
) -> torch.Tensor:
    """Return a tensor as float32; ValueError unless all of it is finite."""
    if not value.is_floating_point():
        raise ValueError(f"{origin}: {name} holds {value.dtype}, not floats.")
    value = value.detach().to(torch.float32)
    if not value.is_meta and not value.isfinite().all():
        raise ValueError(
            f"{origin}: {name} holds numbers that are not finite: the file is "
            "damaged or its training had diverged."
        )
    return value
