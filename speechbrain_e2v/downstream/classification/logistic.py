"""Logistic regression on one vector per utterance."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.lobes.heads import LinearHead
from speechbrain_e2v.metrics import weighted_accuracy


class UtteranceMeans(Protocol):
    """What is asked of features: a feature store is one."""

    @property
    def dim(self) -> int:
        """D."""

    def means(self, names: Sequence[str]) -> np.ndarray:
        """One vector an utterance, float32 [N, D]."""


class LogisticTrainer(FoldByFold):
    """Standardises the mean over frames and fits a logistic regression.

    Deterministic: the seed does not matter. The result is a ``LinearHead``
    that has swallowed the standardisation, so that it is saved and exported
    like any other probe. Of ``inverse_penalties``, scikit-learn's ``C``, the
    one with the best validation WA is tested, the smallest of several.

    >>> LogisticTrainer([1.0, 0.1]).description["inverse_penalties"]
    [0.1, 1.0]
    """

    steps = 1

    def __init__(
        self,
        inverse_penalties: Sequence[float] = (0.03, 0.1, 0.3, 1.0),
        max_iterations: int = 2000,
    ) -> None:
        self._penalties = checked_penalties(inverse_penalties)
        self._max_iterations = max_iterations
        self.chooses = len(self._penalties) > 1
        self.description = {
            "kind": "logistic regression on standardised utterance means",
            "inverse_penalties": self._penalties,
            "max_iterations": max_iterations,
            "selection": "best validation WA, then the strongest penalty",
        }

    def fit(
        self,
        store: UtteranceMeans,
        truth: dict[str, int],
        fold: Fold,
        n_classes: int,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> FoldResult:
        """Train on a fold."""
        x_train, x_valid = (
            store.means(part) for part in (fold.train, fold.valid)
        )
        y_train, y_valid = (
            [truth[name] for name in part] for part in (fold.train, fold.valid)
        )
        if len(set(y_train)) < 2:
            raise ValueError(
                f"{fold.name}: all {len(y_train)} utterances that train have "
                "one class; use fewer folds (--n_folds), or another --protocol"
            )
        selection: dict = {}
        for penalty in self._penalties:
            model = make_pipeline(
                StandardScaler(),
                LogisticRegression(C=penalty, max_iter=self._max_iterations),
            ).fit(x_train, y_train)
            wa = weighted_accuracy(y_valid, model.predict(x_valid))
            if not selection or wa > selection["valid_wa"]:
                selection, best = {"C": penalty, "valid_wa": wa}, model
        advance()
        head = linear_head(best, store.dim, n_classes)
        return linear_result(head, store, fold, selection)


def checked_penalties(inverse_penalties: Sequence[float]) -> list[float]:
    """scikit-learn's ``C`` to choose from, the strongest penalty first."""
    if not inverse_penalties or min(inverse_penalties) <= 0:
        raise ValueError(
            f"inverse_penalties is {inverse_penalties}; give one or more "
            "positive numbers"
        )
    return sorted(float(c) for c in inverse_penalties)


def linear_result(
    head: LinearHead, store: UtteranceMeans, fold: Fold, selection: dict
) -> FoldResult:
    """A finished head and its posteriors of a fold's test part."""
    with torch.no_grad():
        vectors = torch.from_numpy(store.means(fold.test)).unsqueeze(1)
        posteriors = head(vectors).softmax(dim=1)
    n_classes, dim = head.output_layer.weight.shape
    arguments = {"input_dim": dim, "n_classes": n_classes}
    return FoldResult(head, arguments, posteriors, selection)


def linear_head(model: Pipeline, input_dim: int, n_classes: int) -> LinearHead:
    """A pipeline's decision function as a linear layer on raw vectors.

    ``model`` is a fitted ``StandardScaler`` and ``LogisticRegression``. A
    class without a training utterance is never predicted.

    >>> x, y = np.array([[0.0], [1.0], [4.0], [5.0]]), [0, 0, 2, 2]
    >>> model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    >>> head = linear_head(model, input_dim=1, n_classes=3)
    >>> head(torch.tensor([[[5.0]]])).argmax().item()
    2
    """
    scaler, regression = (step for _, step in model.steps)
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn keeps their difference
        weight = np.concatenate([-weight, weight]) / 2
        bias = np.concatenate([-bias, bias]) / 2
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    all_weight = np.zeros((n_classes, input_dim))
    all_bias = np.full(n_classes, -np.inf)
    all_weight[regression.classes_] = weight
    all_bias[regression.classes_] = bias
    head = LinearHead(input_dim, n_classes)
    with torch.no_grad():
        head.output_layer.weight.copy_(torch.from_numpy(all_weight))
        head.output_layer.bias.copy_(torch.from_numpy(all_bias))
    return head.eval()
