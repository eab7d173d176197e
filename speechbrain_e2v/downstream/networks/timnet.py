"""TIM-Net (Ye et al., ICASSP 2023): temporal convolutions, both ways in time.

Of 39 cepstra per frame, each direction (one reads the utterance backwards)
makes as many channels and sends them through blocks of two causal
convolutions whose reach doubles from block to block. What a block lets
through gates its own input. A learned sum over blocks of the mean over time
is classified.

Published sizes count the moving statistics of the normalisations: 106,992
values of 8 blocks and 7 classes, 132,770 of 10 blocks and 4 classes.
"""

import torch
import torch.nn.functional as F
from torch import nn

_DIRECTIONS = 2


class BiasedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose moving variance is of the batch as it is.

    torch's own takes the unbiased estimate for evaluation; the reference does
    not.

    >>> norm = BiasedBatchNorm(1, momentum=1.0)
    >>> _ = norm(torch.tensor([[0.0], [2.0]]))
    >>> norm.running_var
    tensor([1.])
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalised [N, C] or [B, C, T]."""
        before = self.running_var
        if not self.training or before is None or self.momentum is None:
            return super().forward(input)
        kept = (1 - self.momentum) * before
        output = super().forward(input)
        count = input.numel() / input.shape[1]
        # Another tensor, since the backward pass keeps the one before.
        self.running_var = kept + (before - kept) * (count - 1) / count
        return output


class TemporalBlock(nn.Module):
    """Two causal convolutions, then a gate on the input; both directions.

    Input and output are [B, 2 * C, T]: the channels of one direction, then
    those of the other, which never meet.
    """

    def __init__(
        self, channels: int, kernel: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self._reach = (kernel - 1) * dilation
        self.conv1 = _conv(channels, channels, kernel, dilation)
        self.norm1 = _norm(channels)
        self.conv2 = _conv(channels, channels, kernel, dilation)
        self.norm2 = _norm(channels)
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[B, 2 * C, T] to the same."""
        gate = inputs
        for conv, norm in (
            (self.conv1, self.norm1),
            (self.conv2, self.norm2),
        ):
            gate = norm(conv(F.pad(gate, (self._reach, 0))))
            gate = self.dropout(gate.relu())
        return inputs * gate.sigmoid()


class Timnet(nn.Module):
    """Logits of utterances that all have the same number of frames.

    >>> net = Timnet(input_dim=39, n_classes=7)
    >>> net(torch.randn(2, 188, 39)).shape
    torch.Size([2, 7])
    >>> sum(p.numel() for p in net.parameters())
    104496
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        channels: int = 39,
        blocks: int = 8,
        kernel: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.input = _conv(input_dim, channels)
        self.blocks = nn.ModuleList(
            TemporalBlock(channels, kernel, 2**place, dropout)
            for place in range(blocks)
        )
        self.fusion = nn.Parameter(torch.empty(blocks).uniform_(-0.05, 0.05))
        self.output = nn.Linear(channels, n_classes)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of features [B, T, D].

        Raises ValueError where utterances differ in length: zeros after the
        shorter ones would change what the reversed direction reads.
        """
        if num_frames is not None and (num_frames != features.shape[1]).any():
            raise ValueError(
                "TIM-Net takes utterances of one length: give features that "
                "are cut or filled up to it, as upstream timnet-mfcc does"
            )
        return self.output(self.fused(features))

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, D], all T the same."""
        if (num_frames != num_frames[0]).any():
            return self(frames[None], num_frames)  # tells what is wrong
        return self(frames.view(len(num_frames), -1, frames.shape[1]))

    def fused(self, features: torch.Tensor) -> torch.Tensor:
        """What the last layer reads, [B, channels], of features [B, T, D]."""
        return torch.einsum(
            "bnc,n->bc", self.block_means(features), self.fusion
        )

    def block_means(self, features: torch.Tensor) -> torch.Tensor:
        """Mean over time of every block, directions added: [B, blocks, C]."""
        forwards = features.transpose(1, 2)  # [B, D, T]
        states = self.input(torch.cat([forwards, forwards.flip(2)], dim=1))
        means = []
        for block in self.blocks:
            states = block(states)
            means.append(
                states.mean(dim=2).unflatten(1, (_DIRECTIONS, -1)).sum(dim=1)
            )
        return torch.stack(means, dim=1)


def _conv(
    inputs: int, outputs: int, kernel: int = 1, dilation: int = 1
) -> nn.Conv1d:
    """Both directions' convolutions, each with Glorot's uniform weights."""
    conv = nn.Conv1d(
        _DIRECTIONS * inputs,
        _DIRECTIONS * outputs,
        kernel,
        dilation=dilation,
        groups=_DIRECTIONS,
    )
    for weight in conv.weight.data.chunk(_DIRECTIONS):
        nn.init.xavier_uniform_(weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it has one
    return conv


def _norm(channels: int) -> BiasedBatchNorm:
    return BiasedBatchNorm(_DIRECTIONS * channels, eps=1e-3, momentum=0.01)
