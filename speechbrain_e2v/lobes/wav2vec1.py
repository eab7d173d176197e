"""wav2vec and vq-wav2vec: 100 frames a second from convolutions alone.

Schneider et al. (2019) and Baevski et al. (2020) as released. Modules are
named as in the published files, so that these load as they are. Every norm is
taken over channels *and the whole time axis*: an utterance's features depend
on its length, and padding changes all of them. Hence ``forward`` takes one
utterance at a time.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from speechbrain_e2v.lobes.lengths import receptive_field

EXTRACTOR = ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2), (1, 1), (1, 1))
"""Kernel and stride of the extractor of wav2vec; vq-wav2vec adds (1, 1)."""
AGGREGATOR = tuple(range(2, 14))
"""Kernels of the twelve causal convolutions."""


class Wav2vec1Output(NamedTuple):
    """What one utterance becomes; T frames of 10 ms."""

    extracted: torch.Tensor
    """Output of the extractor z, [1, T, C]."""
    codes: torch.Tensor | None
    """Codebook entries of vq-wav2vec, [1, T, groups]."""
    contexts: list[torch.Tensor]
    """State after every layer of the aggregator, [1, T, C]; the last is c."""


class GumbelQuantiser(nn.Module):
    """Replace frames by the entries that score best, one from each group.

    In training the published net draws with Gumbel noise; here is what it
    does otherwise, the largest logit.
    """

    def __init__(
        self,
        width: int,
        groups: int = 2,
        entries: int = 320,
        depth: int = 2,
        shared: bool = False,
        factor: int = 2,
    ) -> None:
        super().__init__()
        self.groups, self.entries, self.shared = groups, entries, shared
        self.vars = nn.Parameter(
            torch.rand(1, entries * (1 if shared else groups), width // groups)
        )
        self.weight_proj: nn.Module
        if depth == 1:
            self.weight_proj = nn.Linear(width, groups * entries)
        else:
            inner = [width] + [width * factor] * (depth - 1)
            self.weight_proj = nn.Sequential(
                *(
                    nn.Sequential(nn.Linear(a, b), nn.GELU())
                    for a, b in pairwise(inner)
                ),
                nn.Linear(inner[-1], groups * entries),
            )

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map [1, T, C] to code words [1, T, C] and codes [1, T, groups]."""
        logits = self.weight_proj(z).unflatten(2, (self.groups, self.entries))
        codes = logits.argmax(dim=3)
        rows = codes
        if not self.shared:
            first = torch.arange(self.groups, device=z.device) * self.entries
            rows = codes + first
        return self.vars[0][rows].flatten(2), codes


class KMeansQuantiser(nn.Module):
    """Replace frames by the nearest entries, one from each group."""

    def __init__(
        self,
        width: int,
        groups: int = 2,
        entries: int = 320,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.embedding = nn.Parameter(
            0.01
            * torch.randn(entries, 1 if shared else groups, width // groups)
        )
        self.projection = nn.Sequential(
            nn.Conv1d(width, width, 1, groups=groups, bias=False),
            nn.GroupNorm(groups, width),
        )

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map [1, T, C] to code words [1, T, C] and codes [1, T, groups]."""
        x = self.projection(z.transpose(1, 2)).transpose(1, 2)
        x = x.unflatten(2, (self.groups, -1))  # [1, T, G, C / G]
        entries = self.embedding.expand(-1, self.groups, -1)
        distance = (x.unsqueeze(2) - entries).norm(dim=4)  # [1, T, V, G]
        codes = distance.argmin(dim=2)
        group = torch.arange(self.groups, device=z.device)
        return entries[codes, group].flatten(2), codes


class _Stack(nn.Module):
    """Layers under the published name ``conv_layers``."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(layers)


class Wav2vec1(nn.Module):
    """wav2vec, or vq-wav2vec with a quantiser between its two parts.

    The defaults are ``wav2vec_large.pt``. vq-wav2vec has an eighth layer in
    the extractor, GELU, and no log compression.

    >>> net = Wav2vec1(width=16).eval()
    >>> net(torch.randn(1, 16000)).contexts[-1].shape
    torch.Size([1, 98, 16])
    """

    def __init__(
        self,
        width: int = 512,
        extractor: Sequence[tuple[int, int]] = EXTRACTOR,
        aggregator: Sequence[int] = AGGREGATOR,
        activation: type[nn.Module] = nn.ReLU,
        log_compression: bool = True,
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        inputs = [1] + [width] * (len(extractor) - 1)
        self.feature_extractor = _Stack(
            [
                nn.Sequential(
                    nn.Conv1d(before, width, kernel, stride, bias=False),
                    nn.Identity(),  # the place of a dropout
                    nn.GroupNorm(1, width),
                    activation(),
                )
                for before, (kernel, stride) in zip(
                    inputs, extractor, strict=True
                )
            ]
        )
        self.vector_quantizer = quantiser
        self.feature_aggregator = _Stack(
            [
                nn.Sequential(
                    nn.ReplicationPad1d((kernel - 1, 0)),
                    nn.Conv1d(width, width, kernel),
                    nn.Identity(),
                    nn.GroupNorm(1, width),
                    activation(),
                )
                for kernel in aggregator
            ]
        )
        self.log_compression = log_compression
        self.seen = receptive_field(*zip(*extractor, strict=True))

    def forward(self, wav: torch.Tensor) -> Wav2vec1Output:
        """Encode one utterance [1, S], 16 kHz, as it was recorded.

        Raises ValueError for a batch, and for less than one frame.
        """
        if len(wav) != 1 or wav.shape[1] < self.seen:
            raise ValueError(
                f"wav is {list(wav.shape)}: wav2vec takes one utterance at a "
                f"time (its norms span all frames), of {self.seen} samples "
                "and more."
            )
        x = wav.unsqueeze(1)
        for layer in self.feature_extractor.conv_layers:
            x = layer(x)
        if self.log_compression:
            x = x.abs().add(1).log()
        extracted, codes = x.transpose(1, 2), None
        if self.vector_quantizer is not None:
            words, codes = self.vector_quantizer(extracted)
            x = words.transpose(1, 2)
        contexts = []
        for layer in self.feature_aggregator.conv_layers:
            x = (x + layer(x)) * 0.5**0.5
            contexts.append(x.transpose(1, 2))
        return Wav2vec1Output(extracted, codes, contexts)
