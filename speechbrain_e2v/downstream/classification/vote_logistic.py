"""Logistic regression on the votes of annotators."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import (
    UtteranceMeans,
    checked_penalties,
    linear_head,
    linear_result,
)
from speechbrain_e2v.downstream.classification.vote_scores import shares
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.metrics import weighted_accuracy


class VoteLogisticTrainer(FoldByFold):
    """As :class:`LogisticTrainer`, for targets that are distributions.

    Smallest is the mean divergence of each utterance's votes from the
    posteriors, with a penalty of the weights. Where everybody agrees this is
    the regression on labels. Its truth is that of ``VoteTargets``; the penalty
    with the smallest divergence on validation is tested.

    >>> VoteLogisticTrainer([1.0, 0.1]).description["inverse_penalties"]
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
            "kind": "logistic regression on votes, standardised means",
            "inverse_penalties": self._penalties,
            "max_iterations": max_iterations,
            "selection": "least validation cross-entropy of the votes, then "
            "the strongest penalty",
        }

    def fit(
        self,
        store: UtteranceMeans,
        truth: dict[str, tuple[int, list[int]]],
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
        train, valid = (
            shares([truth[name][1] for name in part])
            for part in (fold.train, fold.valid)
        )
        # A row for each class that has votes, weighed by their share: the sum
        # of these cross-entropies is that of the distribution.
        rows, codes = np.nonzero(train)
        if len(set(codes)) < 2:
            raise ValueError(
                f"{fold.name}: all votes of {len(train)} utterances that train "
                "are for one class; use fewer folds (--n_folds), or another "
                "--protocol"
            )
        labels = [truth[name][0] for name in fold.valid]
        scaler = StandardScaler().fit(x_train)
        selection: dict = {}
        for penalty in self._penalties:
            regression = LogisticRegression(
                C=penalty, max_iter=self._max_iterations
            ).fit(
                scaler.transform(x_train)[rows],
                codes,
                sample_weight=train[rows, codes],
            )
            model = Pipeline([("scale", scaler), ("regress", regression)])
            found = linear_head(model, store.dim, n_classes)
            log_p = _log_posteriors(found, x_valid)
            nll = float(-(valid * log_p).sum(axis=1).mean())
            if not selection or nll < selection["valid_nll"]:
                wa = weighted_accuracy(labels, log_p.argmax(axis=1))
                selection = {"C": penalty, "valid_nll": nll, "valid_wa": wa}
                head = found
        advance()
        return linear_result(head, store, fold, selection)


def _log_posteriors(head: torch.nn.Module, vectors: np.ndarray) -> np.ndarray:
    """Of utterances [N, D], nats [N, C].

    A class that nobody in training voted for has the least probability that
    :func:`vote_scores` counts.
    """
    with torch.no_grad():
        logits = head(torch.from_numpy(vectors).unsqueeze(1))
        log_p = logits.double().log_softmax(dim=1)
    return log_p.clamp(min=np.log(1e-6)).numpy()
