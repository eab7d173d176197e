"""Query2Emo (Sadok et al., 2023, arXiv 2304.11117): a learned query a class.

One Transformer layer over the frames, then two decoder layers in which the
classes' queries attend to them; what becomes of the queries, side by side, is
classified. Width of the feed-forward networks (torch's usual 2048) and dropout
are ours: the facts that are known do not give them.
"""

import torch
from torch import nn

from speechbrain_e2v.downstream.networks.transformer import (
    demand_heads,
    padded_frames,
)
from speechbrain_e2v.lobes.lengths import frame_mask

_DECODER_LAYERS = 2


class Query2Emo(nn.Module):
    """Logits of utterances of any length.

    >>> net = Query2Emo(input_dim=16, n_classes=3, hidden=32)
    >>> net(torch.randn(2, 5, 16), torch.tensor([5, 2])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        heads: int = 8,
        hidden: int = 2048,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        demand_heads(input_dim, heads)
        layer = (input_dim, heads, hidden, dropout)
        self.queries = nn.Parameter(torch.empty(n_classes, input_dim))
        nn.init.xavier_uniform_(self.queries)
        self.encoder = nn.TransformerEncoderLayer(*layer, batch_first=True)
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*layer, batch_first=True),
            _DECODER_LAYERS,
        )
        for parameter in self.decoder.parameters():
            if parameter.dim() > 1:  # torch copies one layer
                nn.init.xavier_uniform_(parameter)
        self.output = nn.Linear(n_classes * input_dim, n_classes)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, D], real frames [B]."""
        padding = None
        if num_frames is not None:
            padding = ~frame_mask(
                num_frames.to(features.device), features.shape[1]
            )
        states = self.encoder(features, src_key_padding_mask=padding)
        queries = self.queries.expand(len(features), -1, -1)
        heard = self.decoder(queries, states, memory_key_padding_mask=padding)
        return self.output(heard.flatten(1))

    def packed(
        self, frames: torch.Tensor, num_frames: torch.Tensor
    ) -> torch.Tensor:
        """Logits [B, C] of packed frames [sum of T, D]."""
        return self(padded_frames(frames, num_frames), num_frames)
