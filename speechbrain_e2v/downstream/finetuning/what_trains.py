"""Which parameters of an encoder are trained.

``open(encoder, used_blocks)`` freezes the encoder and frees what is named;
blocks behind the last one that is read are never trained. The convolutions of
the front end are frozen unless it is said otherwise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import nn

_BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")
_FRONTEND = "frontend."
BELOW = -1
"""`block_of` what feeds the first block: projection, positions, tokens."""
FRONTEND = -2


class WhatTrains(Protocol):
    """What a yaml gives under ``what_trains``."""

    def open(self, encoder: nn.Module, used_blocks: int) -> None:
        """Set ``requires_grad`` of every parameter; may add adapters.

        Raises ValueError when nothing would be trained.
        """


def block_of(name: str) -> int:
    """Number of the block that a parameter belongs to, by its name.

    >>> [block_of(n) for n in ("context.blocks.3.fc1.bias", "norm.bias")]
    [3, -1]
    """
    if name.startswith(_FRONTEND):
        return FRONTEND
    found = _BLOCK.search(name)
    return int(found[1]) if found else BELOW


def used_parameters(
    encoder: nn.Module, used_blocks: int
) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters that an output depends on, the front end's excepted."""
    for name, parameter in encoder.named_parameters():
        if FRONTEND < block_of(name) < used_blocks:
            yield name, parameter


@dataclass(frozen=True)
class HeadOnly:
    """Nothing of the encoder: a probe, through this trainer."""

    def open(self, encoder: nn.Module, used_blocks: int) -> None:
        """Freeze all."""
        encoder.requires_grad_(False)


@dataclass(frozen=True)
class Full:
    """Everything, the convolutions of the front end only if asked for."""

    frontend: bool = False

    def open(self, encoder: nn.Module, used_blocks: int) -> None:
        """Free all that is used."""
        encoder.requires_grad_(False)
        for name, parameter in encoder.named_parameters():
            lowest = FRONTEND if self.frontend else BELOW
            if lowest <= block_of(name) < used_blocks:
                parameter.requires_grad_(True)


@dataclass(frozen=True)
class TopLayers:
    """The last blocks that are read, so many."""

    layers: int

    def open(self, encoder: nn.Module, used_blocks: int) -> None:
        """Free them."""
        if not 1 <= self.layers <= used_blocks:
            raise ValueError(
                f"layers is {self.layers}, but {used_blocks} blocks are used: "
                f"train 1 to {used_blocks} of them"
            )
        encoder.requires_grad_(False)
        for name, parameter in used_parameters(encoder, used_blocks):
            if block_of(name) >= used_blocks - self.layers:
                parameter.requires_grad_(True)


@dataclass(frozen=True)
class Biases:
    """BitFit (Ben Zaken et al., 2022): biases of all blocks, nothing else."""

    def open(self, encoder: nn.Module, used_blocks: int) -> None:
        """Free them."""
        encoder.requires_grad_(False)
        for name, parameter in used_parameters(encoder, used_blocks):
            if block_of(name) >= 0 and name.endswith("bias"):
                parameter.requires_grad_(True)
