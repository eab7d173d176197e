"""Classifiers that hear nothing: what any score has to beat."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.probe_settings import fold_seed
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult

_KINDS = {
    "constant": ("most_frequent", "most frequent class of training"),
    "prior": ("stratified", "class drawn by its frequency in training"),
}


class TrivialTrainer(FoldByFold):
    """Predicts from the classes of the training part alone.

    ``constant`` is its most frequent class; ``prior`` draws a class for each
    test utterance as often as training has it. There is nothing to choose.

    >>> TrivialTrainer("constant").description["kind"]
    'most frequent class of training'
    """

    steps = 1
    learns = chooses = False

    def __init__(self, kind: str) -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind is {kind!r}; there are {', '.join(_KINDS)}")
        self._strategy, name = _KINDS[kind]
        self.description = {"kind": name}

    def fit(
        self,
        store: Any,
        truth: dict[str, int],
        fold: Fold,
        n_classes: int,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> FoldResult:
        """Count the classes of a fold's training part."""
        model = DummyClassifier(
            strategy=self._strategy,
            random_state=fold_seed(seed, fold) % 2**32,
        )
        model.fit(
            np.zeros((len(fold.train), 1)), [truth[n] for n in fold.train]
        )
        outputs = torch.zeros(len(fold.test), n_classes)
        drawn = model.predict_proba(np.zeros((len(fold.test), 1)))
        outputs[:, model.classes_] = torch.from_numpy(drawn).float()
        advance()
        return FoldResult(None, {}, outputs)
