"""Losses of classes, whose targets are distributions.

All take logits [B, C] and targets [B, C], whose rows are weights of the
classes: 1 for the label, votes, or what mixing made of them; they are made to
add up to one. ``class_weights`` [C] multiply the term of each class. The result
is a mean over the utterances, so that an update does not depend on how it was
cut into micro-batches.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class ClassLoss(Protocol):
    """A loss as above."""

    def __call__(
        self, logits: Tensor, targets: Tensor, class_weights: Tensor | None
    ) -> Tensor: ...


def balanced_weights(counts: Tensor) -> Tensor:
    """N / (C n_c) for the counts n_c [C] of the classes, 0 where there is none.

    >>> balanced_weights(torch.tensor([30, 10, 0])).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    there = counts > 0
    total, classes = counts.sum(), there.sum()
    weights = total / (classes * counts.clamp(min=1))
    return torch.where(there, weights, 0.0)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy, with label smoothing.

    >>> loss = CrossEntropy()
    >>> logits, classes = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    >>> torch.isclose(loss(logits, F.one_hot(classes).float(), None),
    ...               F.cross_entropy(logits, classes))
    tensor(True)
    """

    label_smoothing: float = 0.0

    def __call__(
        self, logits: Tensor, targets: Tensor, class_weights: Tensor | None
    ) -> Tensor:
        """Mean over the utterances, []."""
        return F.cross_entropy(
            logits.float(),
            distribution(targets),
            class_weights,
            label_smoothing=self.label_smoothing,
        )


@dataclass(frozen=True)
class Focal:
    """Focal loss (Lin et al., 2017): - (1 - p)^gamma log p of each class.

    >>> logits, targets = torch.randn(5, 3), torch.eye(3)[[0, 2, 1, 1, 0]]
    >>> plain = CrossEntropy()(logits, targets, None)
    >>> torch.isclose(Focal(gamma=0.0)(logits, targets, None), plain)
    tensor(True)
    """

    gamma: float = 2.0

    def __call__(
        self, logits: Tensor, targets: Tensor, class_weights: Tensor | None
    ) -> Tensor:
        """Mean over the utterances, []."""
        log_p = logits.float().log_softmax(dim=1)
        terms = -distribution(targets) * (1 - log_p.exp()) ** self.gamma * log_p
        if class_weights is not None:
            terms = terms * class_weights
        return terms.sum(dim=1).mean()


@dataclass(frozen=True)
class VoteDivergence:
    """KL divergence of the votes' distribution from the posteriors.

    Of the cross-entropy with the same votes it differs by their entropy, which
    no weight can change; its value is 0 where the votes are met.

    >>> votes = torch.tensor([[3.0, 1.0]])
    >>> met = VoteDivergence()(torch.tensor([[0.75, 0.25]]).log(), votes, None)
    >>> bool(met.abs() < 1e-6)
    True
    """

    def __call__(
        self, logits: Tensor, targets: Tensor, class_weights: Tensor | None
    ) -> Tensor:
        """Mean over the utterances, []."""
        terms = F.kl_div(
            logits.float().log_softmax(dim=1),
            distribution(targets),
            reduction="none",
        )
        if class_weights is not None:
            terms = terms * class_weights
        return terms.sum(dim=1).mean()


def distribution(weights: Tensor) -> Tensor:
    """Rows [B, C] that add up to one.

    >>> distribution(torch.tensor([[3, 1]])).tolist()
    [[0.75, 0.25]]
    """
    weights = weights.float()
    return weights / weights.sum(dim=1, keepdim=True)
