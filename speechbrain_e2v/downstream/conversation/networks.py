"""Networks that predict the emotion of a turn from the turns before it.

Emotion prediction in conversation (emotion2vec, section 5.4 and Table 6). The
routed network is the one of Shi, Li and Toda (Interspeech 2023, section 2.2);
the other two are its comparisons. All take the utterances of the earlier
turns in time order, one vector each, and give logits of the next turn:

``network(x [B, L, D], lengths [B], roles [B, L], turns [B, L]) -> [B, C]``

Roles are seen from the turn that is predicted: its speaker, the interlocutor,
and everybody else. A dialogue's turns count from 0 without gap.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from speechbrain_e2v.downstream.conversation.recurrent import (
    RecurrentLayers,
    RoleStream,
)
from speechbrain_e2v.lobes.lengths import frame_mask

SPEAKER, INTERLOCUTOR, SPECTATOR = range(3)


class RoutedNetwork(nn.Module):
    """Reads the dialogue, then each role's part of it (the proposed network).

    Interaction layer over all utterances; a stream for the speaker and one
    for the interlocutor, on the interaction layer's states; the state after
    the last utterance passes them by; one linear layer. The states of others
    go to no stream.

    >>> network = RoutedNetwork(768, 4)
    >>> sum(p.numel() for p in network.parameters())
    3159556
    """

    def __init__(
        self, input_dim: int, n_classes: int, **recurrent: Any
    ) -> None:
        super().__init__()
        self.interaction = RecurrentLayers(input_dim, **recurrent)
        width = self.interaction.output_dim
        self.speaker = RoleStream(width, **recurrent)
        self.interlocutor = RoleStream(width, **recurrent)
        self.output_layer = nn.Linear(3 * width, n_classes)

    def forward(
        self, x: Tensor, lengths: Tensor, roles: Tensor, turns: Tensor
    ) -> Tensor:
        """Logits of the next turn; ``turns`` are not used."""
        states, last = self.interaction(x, lengths)
        real = frame_mask(lengths.to(x.device), x.shape[1])
        parts = [
            self.speaker(states, real & (roles == SPEAKER)),
            self.interlocutor(states, real & (roles == INTERLOCUTOR)),
            last,
        ]
        return self.output_layer(torch.cat(parts, dim=1))


class TimelineNetwork(nn.Module):
    """Reads the utterances in time order, whoever speaks."""

    def __init__(
        self, input_dim: int, n_classes: int, **recurrent: Any
    ) -> None:
        super().__init__()
        self.recurrent = RecurrentLayers(input_dim, **recurrent)
        self.output_layer = nn.Linear(self.recurrent.output_dim, n_classes)

    def forward(
        self, x: Tensor, lengths: Tensor, roles: Tensor, turns: Tensor
    ) -> Tensor:
        """Logits of the next turn."""
        _, last = self.recurrent(x, lengths)
        return self.output_layer(last)


class MergedTurnsNetwork(nn.Module):
    """The routed network on turns, each the mean of its utterances.

    Aware of turns, but not of the utterances in them (Shi, Li and Dang 2020).
    """

    def __init__(
        self, input_dim: int, n_classes: int, **recurrent: Any
    ) -> None:
        super().__init__()
        self.routed = RoutedNetwork(input_dim, n_classes, **recurrent)

    def forward(
        self, x: Tensor, lengths: Tensor, roles: Tensor, turns: Tensor
    ) -> Tensor:
        """Logits of the next turn."""
        return self.routed(*merge_turns(x, lengths, roles, turns))


def merge_turns(
    x: Tensor, lengths: Tensor, roles: Tensor, turns: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same four of turns: [B, T, D], [B], [B, T] and [B, T].

    A turn's vector is the mean of its utterances'.

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


NETWORKS = {
    "routed": RoutedNetwork,
    "timeline": TimelineNetwork,
    "merged": MergedTurnsNetwork,
}


def network_called(name: str, **recurrent: Any) -> Callable[..., nn.Module]:
    """``network(input_dim=..., n_classes=...)`` by its short name.

    >>> network_called("timeline", hidden=4).keywords
    {'hidden': 4}
    """
    if name not in NETWORKS:
        raise ValueError(
            f"network is {name!r}; there are {', '.join(NETWORKS)}"
        )
    return functools.partial(NETWORKS[name], **recurrent)


class ConversationModel(nn.Module):
    """A network on each utterance's vector and the mean of its text units'.

    Text units are numbered from 1, 0 is none; without units no text is
    learned.

    >>> model = ConversationModel(TimelineNetwork(8 + 4, 3), 10, 4)
    >>> vectors, units = torch.rand(5, 8), torch.tensor([[1, 2]] * 5)
    >>> rows = roles = turns = torch.tensor([[0, 4]])
    >>> model(vectors, units, rows, torch.tensor([2]), roles, turns).shape
    torch.Size([1, 3])
    """

    def __init__(
        self, network: nn.Module, n_units: int = 0, unit_dim: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.units = None
        if n_units:
            self.units = nn.EmbeddingBag(
                n_units + 1, unit_dim, mode="mean", padding_idx=0
            )

    def forward(
        self,
        vectors: Tensor,
        units: Tensor | None,
        rows: Tensor,
        lengths: Tensor,
        roles: Tensor,
        turns: Tensor,
    ) -> Tensor:
        """Logits [B, C] of the next turns.

        ``vectors`` [U, D] and ``units`` [U, M], filled up with 0, are of all
        utterances; ``rows`` [B, L] are those of each sample. D may be 0.
        """
        x = vectors[rows]  # [B, L, D]
        if self.units is not None and units is not None:
            means = self.units(units[rows.flatten()])  # [B * L, E]
            x = torch.cat([x, means.unflatten(0, rows.shape)], dim=2)
        return self.network(x, lengths, roles, turns)
