"""Ridge regression on one vector per utterance."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.downstream.regression.metrics import ccc
from speechbrain_e2v.downstream.regression.standardise import on_raw_features
from speechbrain_e2v.inference.feature_store import FeatureStore
from speechbrain_e2v.lobes.heads import LinearHead


class RidgeTrainer(FoldByFold):
    """Standardises the mean over frames and fits a ridge regression.

    Deterministic: the seed does not matter. The result is a ``LinearHead``
    that has swallowed the standardisation, saved like any other probe. Of
    ``penalties``, scikit-learn's ``alpha``, the one with the best validation
    CCC, mean over the targets, is tested, the largest of several.

    >>> RidgeTrainer([1.0, 10.0]).description["penalties"]
    [10.0, 1.0]
    """

    steps = 1

    def __init__(
        self, penalties: Sequence[float] = (1.0, 10.0, 100.0, 1000.0)
    ) -> None:
        if not penalties or min(penalties) <= 0:
            raise ValueError(
                f"penalties is {penalties}; give one or more positive numbers"
            )
        self._penalties = sorted(map(float, penalties), reverse=True)
        self.description = {
            "kind": "ridge regression on standardised utterance means",
            "penalties": self._penalties,
            "selection": "best validation CCC, then the strongest penalty",
        }

    def fit(
        self,
        store: FeatureStore,
        truth: dict[str, list[float]],
        fold: Fold,
        n_targets: int,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> FoldResult:
        """Train on a fold."""
        x_train, x_valid, x_test = (
            store.means(part).astype(np.float64)
            for part in (fold.train, fold.valid, fold.test)
        )
        y_train, y_valid = (
            np.array([truth[name] for name in part])
            for part in (fold.train, fold.valid)
        )
        scaler = StandardScaler().fit(x_train)
        selection: dict = {}
        for penalty in self._penalties:
            model = Ridge(alpha=penalty)
            model.fit(scaler.transform(x_train), y_train)
            found = model.predict(scaler.transform(x_valid))
            found = found.reshape(y_valid.shape)
            score = float(
                np.mean(
                    [ccc(y, f) for y, f in zip(y_valid.T, found.T, strict=True)]
                )
            )
            if not selection or score > selection["valid_ccc"]:
                selection = {"alpha": penalty, "valid_ccc": score}
                best = model
        arguments = {"input_dim": store.dim, "n_classes": n_targets}
        head = LinearHead(**arguments)
        with torch.no_grad():
            weight = torch.from_numpy(np.atleast_2d(best.coef_))
            head.output_layer.weight.copy_(weight)
            bias = torch.from_numpy(np.atleast_1d(best.intercept_))
            head.output_layer.bias.copy_(bias)
        moments = (torch.from_numpy(x) for x in (scaler.mean_, scaler.scale_))
        on_raw_features(head, *moments)
        predicted = best.predict(scaler.transform(x_test))
        outputs = torch.from_numpy(predicted.reshape(-1, n_targets))
        advance()
        return FoldResult(head.eval(), arguments, outputs, selection)
