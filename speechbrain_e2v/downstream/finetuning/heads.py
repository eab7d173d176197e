"""A head that learns which frames to look at.

The other heads of fine-tuning are those of probes, `lobes.heads`.
"""

import torch
from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling
from torch import nn


class AttentiveStatisticsHead(nn.Module):
    """Attentive statistics pooling, then two layers.

    As the baseline of the Interspeech 2025 challenge on MSP-Podcast: a softmax
    over time of Linear, tanh, Linear weighs the frames; their mean and
    deviation, [2 D], go through dropout, Linear, LayerNorm, ReLU, dropout and
    Linear. The pooling is SpeechBrain's without its batch normalisation, in
    which padding and other utterances would be heard.

    >>> head = AttentiveStatisticsHead(input_dim=8, n_classes=3, hidden=16)
    >>> head(torch.randn(2, 5, 8), torch.tensor([5, 3])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        attention: int = 128,
        hidden: int = 1024,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.pooling = AttentiveStatisticsPooling(
            input_dim, attention, global_context=False
        )
        self.pooling.tdnn.activation = nn.Identity()
        self.pooling.tdnn.norm = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.hidden_layer = nn.Linear(2 * input_dim, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.output_layer = nn.Linear(hidden, n_classes)

    def pooled(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mean and deviation [B, 2 D] of padded features [B, T, D]."""
        relative = None
        if num_frames is not None:
            # Half a frame less: SpeechBrain multiplies by T and compares, and
            # a product that is rounded up would let a frame of padding in.
            relative = (num_frames.float() - 0.5) / features.shape[1]
        return self.pooling(features.transpose(1, 2), relative).squeeze(2)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, C] of padded features [B, T, D], real frames [B]."""
        x = self.dropout(self.pooled(features, num_frames))
        x = self.norm(self.hidden_layer(x)).relu()
        return self.output_layer(self.dropout(x))
