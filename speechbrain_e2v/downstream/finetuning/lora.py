"""SpeechBrain's low-rank adapters (LoRA, Hu et al. 2021), and their merging."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import torch
from speechbrain.nnet.adapters import LoRA, replace_module
from torch import nn

from speechbrain_e2v.downstream.finetuning.what_trains import block_of

LINEAR = ("*.qkv", "*.proj", "*.fc1", "*.fc2")
"""Every linear layer of a block."""


@dataclass(frozen=True)
class LowRank:
    """Adapters of a rank at linear layers; all else is frozen.

    ``targets`` are patterns of module names, as a shell's; ``layers`` the last
    blocks that get adapters, None: all. The update is scaled by ``alpha`` over
    the rank.
    """

    rank: int = 16
    alpha: float = 16.0
    targets: Sequence[str] = LINEAR
    layers: int | None = None

    def open(self, encoder: nn.Module, used_blocks: int) -> None:
        """Freeze the encoder and put the adapters in.

        Raises ValueError when no linear layer has such a name.
        """
        if self.rank < 1:
            raise ValueError(f"rank is {self.rank}; it must be at least 1")
        encoder.requires_grad_(False)
        first = 0 if self.layers is None else used_blocks - self.layers
        chosen = [
            name
            for name, module in encoder.named_modules()
            if isinstance(module, nn.Linear)
            and any(fnmatch(name, pattern) for pattern in self.targets)
            and max(first, 0) <= block_of(name) < used_blocks
        ]
        if not chosen:
            raise ValueError(
                f"targets are {list(self.targets)}, but no linear layer of the "
                f"blocks has such a name; there are {', '.join(LINEAR)}"
            )
        for name in chosen:
            module = encoder.get_submodule(name)
            replace_module(encoder, name, LoRA(module, self.rank, self.alpha))


@torch.no_grad()
def merge_adapters(encoder: nn.Module) -> None:
    """Add every adapter to the layer below it, in place, and take it out.

    >>> torch.manual_seed(0) and None
    >>> model = nn.Sequential(LoRA(nn.Linear(4, 3), rank=2))
    >>> _ = nn.init.normal_(model[0].adapter_up_proj.weight)
    >>> x = torch.randn(5, 4)
    >>> before = model(x)
    >>> merge_adapters(model)
    >>> type(model[0]).__name__, torch.allclose(model(x), before, atol=1e-6)
    ('Linear', True)
    """
    for name, module in list(encoder.named_modules()):
        if isinstance(module, LoRA):
            linear = module.pretrained_module
            up = module.adapter_up_proj.weight.double()
            update = up @ module.adapter_down_proj.weight.double()
            merged = linear.weight.double() + module.scaling * update
            linear.weight.copy_(merged)
            replace_module(encoder, name, linear)
