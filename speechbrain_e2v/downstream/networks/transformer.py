"""What Transformers on frozen frames share."""

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence


def padded_frames(
    frames: torch.Tensor, num_frames: torch.Tensor
) -> torch.Tensor:
    """[B, T, D], filled up with zeros, of packed frames [sum of T, D].

    >>> padded_frames(torch.ones(3, 1), torch.tensor([2, 1]))[1].tolist()
    [[1.0], [0.0]]
    """
    return pad_sequence(
        list(frames.split(num_frames.tolist())), batch_first=True
    )


def split_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, T, D] to [B, H, T, D / H]."""
    return states.unflatten(2, (heads, -1)).transpose(1, 2)


def demand_heads(dim: int, heads: int) -> None:
    """Raise ValueError where a width is not a multiple of the heads."""
    if dim % heads:
        raise ValueError(
            f"features of {dim} numbers cannot be shared by {heads} heads: "
            "give a number of heads that divides it"
        )


class FeedForward(nn.Module):
    """Two layers with a ReLU between, added to the input, then normalised."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[B, T, D] to the same."""
        hidden = self.dropout(self.fc1(states).relu())
        return self.norm(states + self.dropout(self.fc2(hidden)))


def three_layers(dim: int, n_classes: int, dropout: float) -> nn.Sequential:
    """Logits [..., C] of [..., D]: D, D / 2, D / 4, C with ReLU between.

    >>> [p.shape[0] for p in three_layers(1024, 4, 0.1).parameters()][::2]
    [512, 256, 4]
    """
    return nn.Sequential(
        nn.Linear(dim, dim // 2),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(dim // 2, dim // 4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(dim // 4, n_classes),
    )
