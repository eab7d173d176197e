"""Ridge regression on one vector per utterance."""

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from speechbrain_e2v.downstream.regression.fold_result import (
    RegressionOutcome,
    on_raw_features,
)
from speechbrain_e2v.downstream.regression.metrics import ccc
from speechbrain_e2v.lobes.heads import LinearHead


class RidgeTrainer:
    """Standardises the mean over frames and fits a ridge regression.

    Deterministic: the seed does not matter. The result is a ``LinearHead``
    that has swallowed the standardisation, saved like any other probe.

    Arguments
    ---------
    penalties : sequence of float
        scikit-learn's ``alpha``; the one with the best validation CCC, mean
        over the targets, is tested, the largest of several.

    Example
    -------
    >>> RidgeTrainer([1.0, 10.0]).description["penalties"]
    [10.0, 1.0]
    """

    steps = 1

    def __init__(self, penalties=(1.0, 10.0, 100.0, 1000.0)):
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

    def fit(self, store, targets, fold, n_targets, seed, run_opts, advance):
        """Train on a fold; arguments as for ``RegressionTrainer.fit``.

        Returns
        -------
        RegressionOutcome
        """
        x_train, x_valid, x_test = (
            store.means(part).astype(np.float64)
            for part in (fold.train, fold.valid, fold.test)
        )
        y_train, y_valid = (
            np.array([targets[name] for name in part])
            for part in (fold.train, fold.valid)
        )
        scaler = StandardScaler().fit(x_train)
        best = None
        for penalty in self._penalties:
            model = Ridge(alpha=penalty)
            model.fit(scaler.transform(x_train), y_train)
            found = model.predict(scaler.transform(x_valid))
            found = found.reshape(y_valid.shape)
            score = np.mean(
                [ccc(y_valid[:, i], found[:, i]) for i in range(n_targets)]
            )
            if best is None or score > best["valid_ccc"]:
                best = {
                    "alpha": penalty,
                    "valid_ccc": float(score),
                    "model": model,
                }
        model = best.pop("model")
        arguments = {"input_dim": store.dim, "n_classes": n_targets}
        head = LinearHead(**arguments)
        with torch.no_grad():
            weight = torch.from_numpy(np.atleast_2d(model.coef_))
            head.output_layer.weight.copy_(weight)
            bias = torch.from_numpy(np.atleast_1d(model.intercept_))
            head.output_layer.bias.copy_(bias)
        moments = (torch.from_numpy(x) for x in (scaler.mean_, scaler.scale_))
        on_raw_features(head, *moments)
        predicted = model.predict(scaler.transform(x_test))
        predicted = torch.from_numpy(predicted.reshape(-1, n_targets))
        advance(best)
        return RegressionOutcome(head.eval(), arguments, predicted, best)
