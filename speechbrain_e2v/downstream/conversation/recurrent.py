"""Recurrent layers over sequences of different lengths.

Lengths are whole numbers. SpeechBrain's recurrent layers take relative ones
and round them down, which drops the last utterance of some dialogues.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLayers(nn.Module):
    """GRU or LSTM layers over the real steps of each sequence.

    Arguments
    ---------
    input_dim : int
        Width D of a step.
    hidden : int
        Width of a direction's state.
    layers : int
        Number of layers.
    dropout : float
        Between layers.
    bidirectional : bool
        Also read backwards, from each sequence's own last step.
    cell : str
        ``"gru"`` or ``"lstm"``.

    Example
    -------
    >>> layers = RecurrentLayers(8, hidden=4, bidirectional=True)
    >>> outputs, last = layers(torch.rand(2, 5, 8), torch.tensor([5, 0]))
    >>> outputs.shape, last.shape, outputs[1].abs().sum().item()
    (torch.Size([2, 5, 8]), torch.Size([2, 8]), 0.0)
    """

    def __init__(
        self,
        input_dim,
        hidden=256,
        layers=2,
        dropout=0.5,
        bidirectional=False,
        cell="gru",
    ):
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

    def forward(self, x, lengths):
        """Read every sequence.

        Arguments
        ---------
        x : torch.Tensor
            Steps [B, L, D]; what lies behind a sequence's end is ignored.
        lengths : torch.Tensor
            Real steps of each sequence, integers [B]; may be 0.

        Returns
        -------
        tuple of torch.Tensor
            States of the last layer [B, L, H], and the state in which each
            direction ends [B, H]: forwards at a sequence's last step,
            backwards at its first. Zeros beyond the end and for a sequence
            without steps.
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
