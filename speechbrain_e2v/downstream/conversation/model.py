"""A conversation network with the text vectors that are learned with it."""

import torch
from torch import nn


class ConversationModel(nn.Module):
    """Joins each utterance's vector with the mean of its units' vectors.

    Arguments
    ---------
    network : torch.nn.Module
        A class of :mod:`speechbrain_e2v.downstream.conversation.networks`.
    n_units : int
        Text units, numbered from 1; 0 is none. 0 of them: no learned text.
    unit_dim : int
        Width E of a unit's vector.

    Example
    -------
    >>> from speechbrain_e2v.downstream.conversation.networks import (
    ...     TimelineNetwork)
    >>> model = ConversationModel(TimelineNetwork(8 + 4, 3), 10, 4)
    >>> vectors, units = torch.rand(5, 8), torch.tensor([[1, 2]] * 5)
    >>> rows = roles = turns = torch.tensor([[0, 4]])
    >>> model(vectors, units, rows, torch.tensor([2]), roles, turns).shape
    torch.Size([1, 3])
    """

    def __init__(self, network, n_units=0, unit_dim=0):
        super().__init__()
        self.network = network
        self.units = None
        if n_units:
            self.units = nn.EmbeddingBag(
                n_units + 1, unit_dim, mode="mean", padding_idx=0
            )

    def forward(self, vectors, units, rows, lengths, roles, turns):
        """Logits of the next turns.

        Arguments
        ---------
        vectors : torch.Tensor
            Of all utterances [U, D]; D may be 0.
        units : torch.Tensor
            Of all utterances [U, M], filled up with 0; only read where there
            is learned text.
        rows : torch.Tensor
            Utterances of each sample [B, L].
        lengths, roles, turns : torch.Tensor
            As for the network.

        Returns
        -------
        torch.Tensor
            [B, C].
        """
        x = vectors[rows]  # [B, L, D]
        if self.units is not None:
            means = self.units(units[rows.flatten()])  # [B * L, E]
            x = torch.cat([x, means.unflatten(0, rows.shape)], dim=2)
        return self.network(x, lengths, roles, turns)
