"""Ratings such as arousal, alone or beside classes (multitask)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.finetuning.corpus import TunableCorpus
from speechbrain_e2v.downstream.finetuning.objectives import (
    Classes,
    ClassesOfFold,
)
from speechbrain_e2v.downstream.regression.losses import OBJECTIVES, concordance
from speechbrain_e2v.downstream.regression.standardise import in_units, moments


@dataclass(frozen=True)
class Ratings:
    """Ratings, standardised by the training part; the best mean CCC is taken.

    ``loss`` is ``ccc``, ``mse`` or ``mae``. Concordance is measured in each
    micro-batch, so large ones are better.
    """

    loss: str = "ccc"
    selection: str = "ccc"

    def __post_init__(self) -> None:
        if self.loss not in OBJECTIVES or self.selection != "ccc":
            raise ValueError(
                f"loss is {self.loss!r} and selection {self.selection!r}; "
                f"losses are {', '.join(OBJECTIVES)}, selection is ccc"
            )

    def of_fold(
        self,
        corpus: TunableCorpus,
        truth: Mapping[str, Sequence[float]],
        fold: Fold,
        n_outputs: int,
    ) -> "RatingsOfFold":
        """Targets, loss and scores of a fold."""
        return RatingsOfFold(self.loss, truth, fold)


class RatingsOfFold:
    """Standardised targets; nan where an utterance has no rating."""

    def __init__(
        self, loss: str, truth: Mapping[str, Sequence[float]], fold: Fold
    ) -> None:
        self._loss = OBJECTIVES[loss]
        rated = [
            row
            for name in fold.train
            if np.isfinite(row := np.asarray(truth[name], dtype=float)).all()
        ]
        if not rated:
            raise ValueError(f"{fold.name}: no training utterance is rated")
        self.n_outputs = len(rated[0])
        mean, spread = moments(rated)
        self._mean, self._spread = (
            torch.from_numpy(mean),
            torch.from_numpy(spread),
        )
        self.targets = {
            name: torch.from_numpy(
                (np.asarray(truth[name], dtype=float) - mean) / spread
            ).float()
            for part in (fold.train, fold.valid, fold.test)
            for name in part
        }

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Over what is rated, []; 0 where nothing of the batch is."""
        real = targets.isfinite()
        if not real.any():
            return 0.0 * outputs.float().sum()
        return self._loss(outputs.float(), targets, real)

    def valid_scores(self, outputs: Tensor, names: Sequence[str]) -> dict:
        """Mean concordance of the ratings; their scale does not matter."""
        targets = torch.stack([self.targets[name] for name in names])
        found = concordance(
            outputs.double(), targets.double(), targets.isfinite()
        )
        return {"valid_ccc": float(found.mean())}

    def predictions(self, outputs: Tensor) -> Tensor:
        """In units of the scales, [N, n]."""
        return outputs.double() * self._spread + self._mean

    def finished(self, head: nn.Module, arguments: dict) -> dict:
        """From now on the head speaks of the scales."""
        in_units(head, self._mean, self._spread)
        return arguments


@dataclass(frozen=True)
class ClassesAndRatings:
    """Classes, with the ratings of the same utterances learned beside them.

    ``ratings`` names entries of the utterances' ``extra``; one may have none.
    The loss is that of the classes plus ``rating_weight`` times that of the
    ratings. Classes are what is chosen by, predicted and kept.
    """

    classes: Classes
    ratings: Sequence[str] = ("arousal", "valence", "dominance")
    rating_weight: float = 0.5
    rating_loss: str = "ccc"

    @property
    def selection(self) -> str:
        """The classes' own."""
        return self.classes.selection

    def of_fold(
        self,
        corpus: TunableCorpus,
        truth: Mapping[str, int],
        fold: Fold,
        n_outputs: int,
    ) -> "BothOfFold":
        """Targets, loss and scores of a fold."""
        ratings = {
            name: [_rating(u.extra.get(rating)) for rating in self.ratings]
            for name, u in corpus.utterances.items()
        }
        return BothOfFold(
            self.classes.of_fold(corpus, truth, fold, n_outputs),
            RatingsOfFold(self.rating_loss, ratings, fold),
            self.rating_weight,
        )


class BothOfFold:
    """Outputs and targets: those of the classes, then those of the ratings."""

    def __init__(
        self, classes: ClassesOfFold, ratings: RatingsOfFold, weight: float
    ) -> None:
        self._classes, self._ratings, self._weight = classes, ratings, weight
        self._cut = classes.n_outputs
        self.n_outputs = classes.n_outputs + ratings.n_outputs
        self.targets = {
            name: torch.cat([classes.targets[name], ratings.targets[name]])
            for name in classes.targets
        }

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Weighted sum, []."""
        cut = self._cut
        ratings = self._ratings.loss(outputs[:, cut:], targets[:, cut:])
        classes = self._classes.loss(outputs[:, :cut], targets[:, :cut])
        return classes + self._weight * ratings

    def valid_scores(self, outputs: Tensor, names: Sequence[str]) -> dict:
        """Of both."""
        return {
            **self._classes.valid_scores(outputs[:, : self._cut], names),
            **self._ratings.valid_scores(outputs[:, self._cut :], names),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Posteriors of the classes [N, C]."""
        return self._classes.predictions(outputs[:, : self._cut])

    def finished(self, head: nn.Module, arguments: dict) -> dict:
        """Only the outputs of the classes stay."""
        layer: Any = head.output_layer
        kept = nn.Linear(layer.in_features, self._cut)
        with torch.no_grad():
            kept.weight.copy_(layer.weight[: self._cut])
            kept.bias.copy_(layer.bias[: self._cut])
        head.output_layer = kept
        return {**arguments, "n_classes": self._cut}


def _rating(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else float("nan")  # type: ignore[arg-type]
