"""Post-norm Transformer block that also shows what its MLP added."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.alibi import AttentionBias
from speechbrain_e2v.lobes.attention import SelfAttention
from speechbrain_e2v.lobes.chunking import by_chunks, time_chunks

# The hidden layer is the widest of a block: 12 and 384 MiB of it (base).
FRAMES_ON_CPU = 1024
FRAMES_ON_GPU = 2**15


class Block(nn.Module):
    """Attention, then MLP, each followed by a sum and a LayerNorm.

    `mlp_ratio` is the hidden width of the MLP over `embed_dim`.

    >>> from speechbrain_e2v.lobes.alibi import Alibi
    >>> bias = Alibi(2)(torch.arange(5)[None], num_tokens=0)
    >>> output, mlp = Block(8, 2)(torch.randn(3, 5, 8), bias)
    >>> output.shape, mlp.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 8]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        post_mlp_dropout: float = 0.0,
    ):
        super().__init__()
        hidden = int(embed_dim * mlp_ratio)
        self.attention = SelfAttention(
            embed_dim, num_heads, dropout, attention_dropout
        )
        self.norm1 = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.fc1 = nn.Linear(embed_dim, hidden)
        self.fc2 = nn.Linear(hidden, embed_dim)
        self.norm2 = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.activation_dropout = nn.Dropout(activation_dropout)
        self.post_mlp_dropout = nn.Dropout(post_mlp_dropout)

    def forward(
        self, x: torch.Tensor, bias: AttentionBias
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map [B, L, D] to two of [B, L, D].

        The first is the output behind the last norm; the second is that of the
        MLP before dropout, sum and norm: the teacher's training target ("layer
        result" in the released code).
        """
        x = self.norm1(x + self.attention(x, bias))
        chunks = time_chunks(
            len(x), x.shape[1], x.device, FRAMES_ON_CPU, FRAMES_ON_GPU
        )
        mlp = by_chunks(lambda start, stop: self._mlp(x[:, start:stop]), chunks)
        return self.norm2(x + self.post_mlp_dropout(mlp)), mlp

    def _mlp(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation_dropout(F.gelu(self.fc1(x))))


def run_blocks(
    blocks: nn.ModuleList,
    layerdrop: Sequence[float],
    x: torch.Tensor,
    bias: AttentionBias,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield output and MLP output of block after block, [B, L, D] each.

    In training a block is skipped with its probability in `layerdrop`; the MLP
    output of the one before it is then given again.
    """
    mlp = torch.zeros_like(x)
    for block, rate in zip(blocks, layerdrop, strict=True):
        # The draw is on the CPU generator: no wait for the device.
        if block.training and rate > 0 and torch.rand(()) <= rate:
            x = x + _zero_of(block)
        else:
            x, mlp = block(x, bias)
        yield x, mlp


def _zero_of(module: nn.Module) -> torch.Tensor | float:
    """Return a zero that depends on every parameter.

    A skipped block so gets zero gradients instead of none, which distributed
    training needs and which is what the released trainer's flat buffer does.
    """
    return 0.0 * sum(p.view(-1)[0] for p in module.parameters())
