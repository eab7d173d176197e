"""Training targets out of the teacher's blocks."""

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.pooling import masked_mean

UTTERANCE_TARGETS = ("released", "raw", "layer_norm", "standard")


def instance_norm(x, real=None, eps=1e-5):
    """Standardise every channel of an utterance over its frames.

    Arguments
    ---------
    x : torch.Tensor, [B, T, D]
    real : torch.Tensor, [B, T, 1], bool, optional
        False at padding, which is left out of the statistics and set to 0.
        (The released code lets padding into them.)

    Returns
    -------
    torch.Tensor, [B, T, D]

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


def frame_targets(mlp_outputs, real=None):
    """Average the normalised MLP outputs of the top blocks.

    Arguments
    ---------
    mlp_outputs : list of torch.Tensor, [B, T, D] each
        Extra tokens removed.
    real : torch.Tensor, [B, T, 1], bool, optional

    Returns
    -------
    torch.Tensor, [B, T, D], float32

    Example
    -------
    >>> frame_targets([torch.randn(2, 7, 4)]).mean(1).abs().max().item() < 1e-6
    True
    """
    total = sum(instance_norm(x.float(), real) for x in mlp_outputs)
    return total / len(mlp_outputs)


class UtteranceTarget(nn.Module):
    """The vector that the student's utterance prediction should reach.

    Arguments
    ---------
    embed_dim : int
    kind : str
        "released": temporal mean of the frame targets. They were normalised
        over time first, so it is zero whatever the utterance; published
        weights were trained so. "raw": the paper's words, temporal mean of
        the averaged block outputs. "layer_norm": temporal mean of the MLP
        outputs, each layer-normalised over channels. "standard": the same,
        then standardised per channel with running statistics over
        utterances, so that it does differ between utterances.
    momentum : float
        Of the running statistics.

    Example
    -------
    >>> target = UtteranceTarget(4, "released")
    >>> x = [torch.randn(2, 7, 4)]
    >>> target(x, x, frame_targets(x), None).abs().max().item() < 1e-6
    True
    """

    def __init__(self, embed_dim, kind="released", momentum=0.01):
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

    def forward(self, block_outputs, mlp_outputs, targets, num_frames):
        """Make one vector an utterance.

        Arguments
        ---------
        block_outputs, mlp_outputs : list of torch.Tensor, [B, T, D] each
            Of the top blocks, extra tokens removed.
        targets : torch.Tensor, [B, T, D]
            Frame targets.
        num_frames : torch.Tensor, [B], long, or None

        Returns
        -------
        torch.Tensor, [B, D], float32
        """
        if self.kind == "released":
            return masked_mean(targets, num_frames)
        if self.kind == "raw":
            chosen = [x.float() for x in block_outputs]
        else:
            chosen = [
                F.layer_norm(x.float(), x.shape[-1:]) for x in mlp_outputs
            ]
        vector = masked_mean(sum(chosen) / len(chosen), num_frames)
        return self._standardise(vector) if self.kind == "standard" else vector

    def _standardise(self, vector):
        mean, square = vector.mean(0), vector.square().mean(0)
        if torch.distributed.is_initialized():
            both = torch.stack([mean, square])
            torch.distributed.all_reduce(both)
            mean, square = both / torch.distributed.get_world_size()
        self.batches += 1
        # The first batches count in full: an average before it is a memory.
        weight = torch.clamp(1 / self.batches, min=self.momentum)
        self.mean.lerp_(mean, weight)
        self.square.lerp_(square, weight)
        deviation = (self.square - self.mean.square()).clamp(min=1e-4).sqrt()
        return (vector - self.mean) / deviation
