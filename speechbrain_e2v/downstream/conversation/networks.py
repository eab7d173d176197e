"""Networks that predict the emotion of a turn from the turns before it.

Emotion prediction in conversation (emotion2vec, section 5.4 and Table 6). The
routed network is the one of Shi, Li and Toda (Interspeech 2023, section 2.2);
the other two are its comparisons. All take the utterances of the earlier
turns in time order, one vector each, and give logits of the next turn.

Roles are seen from the turn that is predicted: its speaker, the interlocutor,
and everybody else.
"""

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.downstream.conversation.recurrent import RecurrentLayers
from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.lobes.pooling import masked_mean

SPEAKER, INTERLOCUTOR, SPECTATOR = range(3)


class SelfAttention(nn.Module):
    """One head of scaled dot-product attention over a sequence.

    Arguments
    ---------
    dim : int
        Width H of input, queries, keys and values.

    Example
    -------
    >>> attention = SelfAttention(8)
    >>> attention(torch.rand(2, 5, 8), torch.tensor([5, 0])).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, dim):
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, x, lengths):
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

    Arguments
    ---------
    input_dim : int
        Width of a state.
    **recurrent
        Further arguments of ``RecurrentLayers``.

    Example
    -------
    >>> stream = RoleStream(8, hidden=4)
    >>> chosen = torch.tensor([[True, False, True], [False, False, False]])
    >>> stream(torch.rand(2, 3, 8), chosen)[1].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, input_dim, **recurrent):
        super().__init__()
        self.recurrent = RecurrentLayers(input_dim, **recurrent)
        self.output_dim = self.recurrent.output_dim
        self.attention = SelfAttention(self.output_dim)

    def forward(self, states, chosen):
        """Sum up the chosen states.

        Arguments
        ---------
        states : torch.Tensor
            [B, L, D].
        chosen : torch.Tensor
            [B, L], bool.

        Returns
        -------
        torch.Tensor
            [B, H]; zeros where nothing is chosen.
        """
        x, lengths = pick(states, chosen)
        x, _ = self.recurrent(x, lengths)
        return masked_mean(self.attention(x, lengths), lengths)


def pick(states, chosen):
    """Move the chosen steps of each sequence to its beginning, in order.

    Arguments
    ---------
    states : torch.Tensor
        [B, L, D].
    chosen : torch.Tensor
        [B, L], bool.

    Returns
    -------
    tuple of torch.Tensor
        [B, M, D] with M the most that any sequence has, at least 1, and how
        many each has [B]. What follows those is left over from other steps.

    Example
    -------
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


class RoutedNetwork(nn.Module):
    """Reads the dialogue, then each role's part of it (the proposed network).

    Interaction layer over all utterances; a stream for the speaker and one
    for the interlocutor, on the interaction layer's states; the state after
    the last utterance passes them by; one linear layer. The states of others
    go to no stream.

    Arguments
    ---------
    input_dim : int
        Width D of an utterance vector.
    n_classes : int
        Classes C.
    **recurrent
        Further arguments of ``RecurrentLayers``, for all three.

    Example
    -------
    >>> network = RoutedNetwork(768, 4)
    >>> sum(p.numel() for p in network.parameters())
    3159556
    """

    def __init__(self, input_dim, n_classes, **recurrent):
        super().__init__()
        self.interaction = RecurrentLayers(input_dim, **recurrent)
        width = self.interaction.output_dim
        self.speaker = RoleStream(width, **recurrent)
        self.interlocutor = RoleStream(width, **recurrent)
        self.output_layer = nn.Linear(3 * width, n_classes)

    def forward(self, x, lengths, roles, turns):
        """Logits of the next turn.

        Arguments
        ---------
        x : torch.Tensor
            Utterance vectors [B, L, D].
        lengths : torch.Tensor
            Utterances of each dialogue, integers [B].
        roles : torch.Tensor
            Role of each utterance's speaker [B, L].
        turns : torch.Tensor
            Number of each utterance's turn [B, L], from 0; not used here.

        Returns
        -------
        torch.Tensor
            [B, C].
        """
        states, last = self.interaction(x, lengths)
        real = frame_mask(lengths.to(x.device), x.shape[1])
        parts = [
            self.speaker(states, real & (roles == SPEAKER)),
            self.interlocutor(states, real & (roles == INTERLOCUTOR)),
            last,
        ]
        return self.output_layer(torch.cat(parts, dim=1))


class TimelineNetwork(nn.Module):
    """Reads the utterances in time order, whoever speaks.

    Arguments
    ---------
    input_dim : int
        Width D of an utterance vector.
    n_classes : int
        Classes C.
    **recurrent
        Further arguments of ``RecurrentLayers``.

    Example
    -------
    >>> network = TimelineNetwork(768, 4)
    >>> sum(p.numel() for p in network.parameters())
    1183748
    """

    def __init__(self, input_dim, n_classes, **recurrent):
        super().__init__()
        self.recurrent = RecurrentLayers(input_dim, **recurrent)
        self.output_layer = nn.Linear(self.recurrent.output_dim, n_classes)

    def forward(self, x, lengths, roles, turns):
        """Logits [B, C]; arguments as for ``RoutedNetwork``."""
        _, last = self.recurrent(x, lengths)
        return self.output_layer(last)


class MergedTurnsNetwork(nn.Module):
    """The routed network on turns, each the mean of its utterances.

    Aware of turns, but not of the utterances in them (Shi, Li and Dang 2020).

    Arguments
    ---------
    input_dim : int
        Width D of an utterance vector.
    n_classes : int
        Classes C.
    **recurrent
        Further arguments of ``RecurrentLayers``.

    Example
    -------
    >>> network = MergedTurnsNetwork(8, 4, hidden=16)
    >>> x, lengths = torch.rand(1, 3, 8), torch.tensor([3])
    >>> roles, turns = torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 1]])
    >>> network(x, lengths, roles, turns).shape
    torch.Size([1, 4])
    """

    def __init__(self, input_dim, n_classes, **recurrent):
        super().__init__()
        self.routed = RoutedNetwork(input_dim, n_classes, **recurrent)

    def forward(self, x, lengths, roles, turns):
        """Logits [B, C]; arguments as for ``RoutedNetwork``."""
        return self.routed(*merge_turns(x, lengths, roles, turns))


def merge_turns(x, lengths, roles, turns):
    """One vector a turn: the mean of its utterances.

    Arguments
    ---------
    x : torch.Tensor
        Utterance vectors [B, L, D].
    lengths : torch.Tensor
        Utterances of each dialogue, integers [B].
    roles, turns : torch.Tensor
        Of each utterance [B, L]; a dialogue's turns count from 0 without gap.

    Returns
    -------
    tuple of torch.Tensor
        The same four of turns: [B, T, D], [B], [B, T] and [B, T].

    Example
    -------
    >>> x = torch.tensor([[[1.0], [3.0], [5.0]]])
    >>> who, turn = torch.tensor([[0, 0, 1]]), torch.tensor([[0, 0, 1]])
    >>> merge_turns(x, torch.tensor([3]), who, turn)[0].flatten().tolist()
    [2.0, 5.0]
    """
    real = frame_mask(lengths.to(x.device), x.shape[1])
    turns = turns.masked_fill(~real, -1)
    number = torch.arange(int(turns.max()) + 1, device=x.device)  # [T]
    belongs = turns[:, None, :] == number[:, None]  # [B, T, L]
    size = belongs.sum(dim=2)
    share = belongs / size.clamp(min=1)[:, :, None]
    merged = share.to(x) @ x.masked_fill(~real[:, :, None], 0.0)  # [B, T, D]
    first = belongs.byte().argmax(dim=2)
    return (
        merged,
        (size > 0).sum(dim=1),
        roles.gather(1, first),
        number.expand(len(x), -1),
    )
