"""Layers over sequences of different lengths, and over parts of them.

Lengths are whole numbers: SpeechBrain's recurrent layers take relative ones
and round them down, which drops the last utterance of some dialogues.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.lobes.pooling import masked_mean

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLayers(nn.Module):
    """GRU or LSTM layers over the real steps of each sequence.

    ``bidirectional`` also reads backwards, from each sequence's own last step.

    >>> layers = RecurrentLayers(8, hidden=4, bidirectional=True)
    >>> outputs, last = layers(torch.rand(2, 5, 8), torch.tensor([5, 0]))
    >>> outputs.shape, last.shape, outputs[1].abs().sum().item()
    (torch.Size([2, 5, 8]), torch.Size([2, 8]), 0.0)
    """

    def __init__(
        self,
        input_dim: int,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.5,
        bidirectional: bool = False,
        cell: str = "gru",
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell is {cell!r}; there are {', '.join(CELLS)}")
        self.directions = 1 + bidirectional
        self.output_dim = hidden * self.directions
        self.cells = CELLS[cell](
            input_dim,
            hidden,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
            bidirectional=bidirectional,
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """States of the last layer [B, L, H], and where they end [B, H].

        Forwards that is a sequence's last step, backwards its first. Zeros
        beyond the end and for a sequence without steps.
        """
        # Packing refuses a sequence without steps: one is read and forgotten.
        packed = pack_padded_sequence(
            x,
            lengths.clamp(min=1).cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        packed, states = self.cells(packed)
        outputs, _ = pad_packed_sequence(
            packed, batch_first=True, total_length=x.shape[1]
        )
        hidden = states[0] if isinstance(states, tuple) else states
        last = torch.cat(list(hidden[-self.directions :]), dim=1)  # [B, H]
        empty = (lengths == 0).to(x.device)
        outputs = outputs.masked_fill(empty[:, None, None], 0.0)
        return outputs, last.masked_fill(empty[:, None], 0.0)


class SelfAttention(nn.Module):
    """One head of scaled dot-product attention over a sequence."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Attend to the real steps [B, L, H] of each sequence."""
        # A sequence without steps attends to padding, which nobody reads;
        # attending to nothing would give nan.
        real = frame_mask(lengths.clamp(min=1), x.shape[1])
        return F.scaled_dot_product_attention(
            self.query(x), self.key(x), self.value(x), real[:, None, :]
        )


class RoleStream(nn.Module):
    """What the utterances of one role amount to.

    Picks their states, reads them with recurrent layers of its own, lets them
    attend to each other, and takes the mean.

    >>> stream = RoleStream(8, hidden=4)
    >>> chosen = torch.tensor([[True, False, True], [False, False, False]])
    >>> stream(torch.rand(2, 3, 8), chosen)[1].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, input_dim: int, **recurrent: Any) -> None:
        super().__init__()
        self.recurrent = RecurrentLayers(input_dim, **recurrent)
        self.output_dim = self.recurrent.output_dim
        self.attention = SelfAttention(self.output_dim)

    def forward(self, states: Tensor, chosen: Tensor) -> Tensor:
        """Sum up the chosen [B, L] of the states [B, L, D]; zeros of none."""
        x, lengths = pick(states, chosen)
        x, _ = self.recurrent(x, lengths)
        return masked_mean(self.attention(x, lengths), lengths)


def pick(states: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Move the chosen steps of each sequence to its beginning, in order.

    Gives [B, M, D], M being the most that any sequence has, at least 1, and
    how many each has [B]. What follows those is left over from other steps.

    >>> states = torch.arange(3.0).reshape(1, 3, 1)
    >>> picked, count = pick(states, torch.tensor([[True, False, True]]))
    >>> picked.flatten().tolist(), count.tolist()
    ([0.0, 2.0], [2])
    """
    count = chosen.sum(dim=1)
    longest = max(1, int(count.max()))
    order = chosen.logical_not().byte().argsort(dim=1, stable=True)
    order = order[:, :longest, None].expand(-1, -1, states.shape[2])
    return states.gather(1, order), count
