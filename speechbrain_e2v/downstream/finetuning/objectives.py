"""What a fine-tuning minimises, and what chooses its epoch.

An objective is what a yaml gives; ``of_fold`` makes of it the targets, loss
and scores of one fold. Scores are of the whole validation part: unweighted
accuracy and concordance are no means over batches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.finetuning.corpus import TunableCorpus
from speechbrain_e2v.downstream.finetuning.losses import (
    ClassLoss,
    balanced_weights,
)
from speechbrain_e2v.metrics import (
    macro_f1,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)

_SCORES = {
    "wa": weighted_accuracy,
    "ua": unweighted_accuracy,
    "wf1": weighted_f1,
    "macro_f1": macro_f1,
}
SoftTargets = Callable[[Utterance, Sequence[str]], Sequence[float]]


class FoldObjective(Protocol):
    """An objective on one fold."""

    n_outputs: int
    """Outputs of the head."""
    targets: dict[str, Tensor]
    """A vector for each utterance of the fold."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over the utterances, of outputs and targets [B, n]."""

    def valid_scores(self, outputs: Tensor, names: Sequence[str]) -> dict:
        """Scores of all validation utterances, for the epoch's entry."""

    def predictions(self, outputs: Tensor) -> Tensor:
        """What the results are made of."""

    def finished(self, head: nn.Module, arguments: dict) -> dict:
        """Let the head give the predictions alone; its arguments then."""


class Objective(Protocol):
    """What a yaml gives under ``objective``."""

    selection: str
    """The score that chooses the epoch; the highest is best."""

    def of_fold(
        self,
        corpus: TunableCorpus,
        truth: Mapping[str, Any],
        fold: Fold,
        n_outputs: int,
    ) -> FoldObjective:
        """The same for a fold; what is measured is of its training part."""


@dataclass(frozen=True)
class Classes:
    """Classes of utterances.

    ``balanced`` weighs a class by N / (C n_c) of the training part;
    ``selection`` is ``wa``, ``ua``, ``wf1`` or ``macro_f1``. ``soft_targets``
    gives of an utterance and the names of the classes a weight for each, which
    is trained on in place of its label; validation and test have labels.
    """

    loss: ClassLoss
    balanced: bool = False
    selection: str = "ua"
    soft_targets: SoftTargets | None = None

    def __post_init__(self) -> None:
        if self.selection not in _SCORES:
            raise ValueError(
                f"selection is {self.selection!r}; there are "
                f"{', '.join(_SCORES)}"
            )

    def of_fold(
        self,
        corpus: TunableCorpus,
        truth: Mapping[str, int],
        fold: Fold,
        n_outputs: int,
    ) -> "ClassesOfFold":
        """Targets, loss and scores of a fold."""
        return ClassesOfFold(self, corpus, truth, fold, n_outputs)


class ClassesOfFold:
    """See :class:`Classes`."""

    def __init__(
        self,
        objective: Classes,
        corpus: TunableCorpus,
        truth: Mapping[str, int],
        fold: Fold,
        n_classes: int,
    ) -> None:
        self.n_outputs = n_classes
        self._objective = objective
        self._truth = truth
        names = {truth[u.id]: u.emo for u in corpus.utterances.values()}
        classes = [str(names.get(code)) for code in range(n_classes)]
        one_hot = torch.eye(n_classes)
        self.targets = {
            name: one_hot[truth[name]]
            for part in (fold.train, fold.valid, fold.test)
            for name in part
        }
        if objective.soft_targets is not None:
            for name in fold.train:
                soft = objective.soft_targets(corpus.utterances[name], classes)
                self.targets[name] = _checked_weights(name, soft, n_classes)
        counts = np.bincount(
            [truth[name] for name in fold.train], minlength=n_classes
        )
        self._weights = None
        if objective.balanced:
            self._weights = balanced_weights(torch.from_numpy(counts)).float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, []."""
        weights = self._weights
        if weights is not None:
            weights = weights.to(outputs.device)
        return self._objective.loss(outputs, targets, weights)

    def valid_scores(self, outputs: Tensor, names: Sequence[str]) -> dict:
        """Every score of the classes, in percent."""
        truth = [self._truth[name] for name in names]
        predicted = outputs.argmax(dim=1).tolist()
        return {
            f"valid_{name}": score(truth, predicted)
            for name, score in _SCORES.items()
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Posteriors [N, C]."""
        return outputs.float().softmax(dim=1)

    def finished(self, head: nn.Module, arguments: dict) -> dict:
        """The head is as it was trained."""
        return arguments


def _checked_weights(
    name: str, weights: Sequence[float], classes: int
) -> Tensor:
    found = torch.as_tensor(weights, dtype=torch.float32)
    if found.shape != (classes,) or not (found >= 0).all() or not found.sum():
        raise ValueError(
            f"{name}: soft targets are {list(weights)}; give {classes} numbers "
            "of 0 or more, not all 0"
        )
    return found
