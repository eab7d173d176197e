"""Training targets out of the teacher's blocks."""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.pooling import masked_mean

UTTERANCE_TARGETS = ("released", "raw", "layer_norm", "standard")


def instance_norm(
    x: torch.Tensor, real: torch.Tensor | None = None, eps: float = 1e-5
) -> torch.Tensor:
    """Standardise every channel of an utterance [B, T, D] over its frames.

    `real` [B, T, 1] is False at padding, which is left out of the statistics
    and set to 0. (The released code lets padding into them.)

    Example
    -------
    >>> instance_norm(torch.tensor([[[1.0], [3.0]]])).flatten()
    tensor([-1.0000,  1.0000])
    """
    if real is None:
        return F.instance_norm(x.transpose(1, 2), eps=eps).transpose(1, 2)
    count = real.sum(1, keepdim=True)
    centred = (x - (x * real).sum(1, keepdim=True) / count) * real
    variance = centred.square().sum(1, keepdim=True) / count
    return centred * torch.rsqrt(variance + eps)


def frame_targets(
    mlp_outputs: Sequence[torch.Tensor], real: torch.Tensor | None = None
) -> torch.Tensor:
    """Average the normalised MLP outputs of the top blocks, fp32.

    Example
    -------
    >>> frame_targets([torch.randn(2, 7, 4)]).mean(1).abs().max().item() < 1e-6
    True
    """
    return _average([instance_norm(x.float(), real) for x in mlp_outputs])


def _average(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(torch.add, layers) / len(layers)


class UtteranceTarget(nn.Module):
    """The vector that the student's utterance prediction should reach.

    "released": temporal mean of the frame targets. They were normalised over
    time first, so it is zero whatever the utterance; published weights were
    trained so. "raw": the paper's words, temporal mean of the averaged block
    outputs. "layer_norm": temporal mean of the MLP outputs, each
    layer-normalised over channels. "standard": the same, then standardised per
    channel with running statistics over utterances (`momentum`), so that it
    does differ between utterances.

    Example
    -------
    >>> target = UtteranceTarget(4, "released")
    >>> x = [torch.randn(2, 7, 4)]
    >>> target(x, x, frame_targets(x), None).abs().max().item() < 1e-6
    True
    """

    mean: torch.Tensor
    square: torch.Tensor
    batches: torch.Tensor

    def __init__(
        self, embed_dim: int, kind: str = "released", momentum: float = 0.01
    ):
        super().__init__()
        if kind not in UTTERANCE_TARGETS:
            raise ValueError(
                f"utterance_target is {kind!r}: choose one of "
                f"{UTTERANCE_TARGETS}."
            )
        self.kind = kind
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(embed_dim))
        self.register_buffer("square", torch.ones(embed_dim))
        self.register_buffer("batches", torch.zeros(()))
        self._moves = True

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Use the running statistics without moving them: validation."""
        self._moves = False
        try:
            yield
        finally:
            self._moves = True

    def forward(
        self,
        block_outputs: Sequence[torch.Tensor],
        mlp_outputs: Sequence[torch.Tensor],
        targets: torch.Tensor,
        num_frames: torch.Tensor | None,
    ) -> torch.Tensor:
        """[B, D], fp32, from outputs of the top blocks and frame targets.

        All are [B, T, D] with the extra tokens removed.
        """
        if self.kind == "released":
            return masked_mean(targets, num_frames)
        if self.kind == "raw":
            chosen = [x.float() for x in block_outputs]
        else:
            chosen = [
                F.layer_norm(x.float(), x.shape[-1:]) for x in mlp_outputs
            ]
        vector = masked_mean(_average(chosen), num_frames)
        return self._standardise(vector) if self.kind == "standard" else vector

    def _standardise(self, vector: torch.Tensor) -> torch.Tensor:
        if self._moves:
            mean, square = vector.mean(0), vector.square().mean(0)
            if torch.distributed.is_initialized():
                both = torch.stack([mean, square])
                torch.distributed.all_reduce(both)
                mean, square = both / torch.distributed.get_world_size()
            self.batches += 1
            # The first batches count in full: an average before it is a
            # memory.
            weight = torch.clamp(1 / self.batches, min=self.momentum)
            self.mean.lerp_(mean, weight)
            self.square.lerp_(square, weight)
        deviation = (self.square - self.mean.square()).clamp(min=1e-4).sqrt()
        return (vector - self.mean) / deviation
