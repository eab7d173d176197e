"""Regression probes: a small head on frozen features, continuous targets.

Targets are standardised with the training part's mean and deviation, so that
neither loss nor learning rate depends on the scale; the trained head gives
values in units of the scale. A ``LinearHead`` is linear in the mean over
frames: it is trained on these means, standardised likewise, which is the same
function and many times quicker. Other heads see every frame, as it is.
"""

from collections.abc import Callable

import numpy as np
import torch
from speechbrain.utils.distributed import infer_device
from speechbrain.utils.run_opts import RunOptions
from torch import Tensor

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.best_epoch import BestEpoch
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.downstream.packed import (
    PackedUtterances,
    ShuffledBatches,
    batches_in_order,
)
from speechbrain_e2v.downstream.probe_brain import ProbeBrain
from speechbrain_e2v.downstream.provenance import config_of_callable
from speechbrain_e2v.downstream.regression.losses import OBJECTIVES
from speechbrain_e2v.downstream.regression.standardise import (
    StandardisedMeans,
    in_units,
    moments,
    on_raw_features,
)
from speechbrain_e2v.downstream.regression.train_on_means import train_on_means
from speechbrain_e2v.inference.feature_store import FeatureStore
from speechbrain_e2v.lobes.heads import LinearHead
from speechbrain_e2v.training.seeding import stable_hash


class RegressionTrainer(FoldByFold):
    """Trains one head per fold and seed.

    ``head(input_dim=..., n_classes=...)`` builds it with as many outputs as
    there are targets; ``objective`` is ``ccc``, ``mse`` or ``mae``.

    Raises ValueError for an unknown objective or a number below 1.

    >>> trainer = RegressionTrainer(
    ...     LinearHead, torch.optim.Adam, "ccc", number_of_epochs=3)
    >>> trainer.description["input"]
    'standardised utterance means'
    """

    def __init__(
        self,
        head: Callable[..., torch.nn.Module],
        optimizer: Callable[..., torch.optim.Optimizer],
        objective: str,
        number_of_epochs: int,
        batch_size: int = 128,
    ) -> None:
        if objective not in OBJECTIVES:
            raise ValueError(
                f"objective is {objective!r}; there are {', '.join(OBJECTIVES)}"
            )
        if number_of_epochs < 1 or batch_size < 1:
            raise ValueError(
                f"number_of_epochs is {number_of_epochs} and batch_size is "
                f"{batch_size}; both must be at least 1"
            )
        self._head = head
        self._optimizer = optimizer
        self._objective = objective
        self._batch_size = batch_size
        self._linear = getattr(head, "func", head) is LinearHead
        self.steps = number_of_epochs
        self.description = {
            "kind": "regression probe",
            "head": config_of_callable(head),
            "input": "standardised utterance means"
            if self._linear
            else "frames",
            "objective": objective,
            "optimizer": config_of_callable(optimizer),
            "number_of_epochs": number_of_epochs,
            "batch_size": batch_size,
            "selection": "first epoch with the lowest validation loss",
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
        """Train on a fold; ``seed`` is of initial weights and batch orders."""
        seed = stable_hash("regression probe", seed, fold.name)
        arguments = {
            **getattr(self._head, "keywords", {}),
            "input_dim": store.dim,
            "n_classes": n_targets,
        }
        mean, deviation = moments([truth[name] for name in fold.train])
        units = {
            name: ((np.asarray(truth[name]) - mean) / deviation).tolist()
            for part in (fold.train, fold.valid, fold.test)
            for name in part
        }
        centre, spread = torch.from_numpy(mean), torch.from_numpy(deviation)
        batches = ShuffledBatches(fold.train, self._batch_size, seed)
        fit = self._fit_means if self._linear else self._fit_frames
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = self._head(input_dim=store.dim, n_classes=n_targets)
            predicted, best = fit(
                head, store, units, fold, batches, seed, run_opts, advance
            )
        in_units(head, centre, spread)
        outputs = predicted.double() * spread + centre
        return FoldResult(head, arguments, outputs, best.entry, best.history)

    def _fit_means(
        self, head, store, units, fold, batches, seed, run_opts, advance
    ) -> tuple[Tensor, BestEpoch]:
        means = StandardisedMeans(store, fold)
        head.to((run_opts or {}).get("device") or infer_device())
        best = train_on_means(
            head, self._optimizer, self._objective, means, units, fold,
            self.steps, batches, advance,
        )  # fmt: skip
        head.cpu()
        with torch.no_grad():
            predicted = head.output_layer(means.of(fold.test))
        moments_of_means = (means.centre, means.spread)
        on_raw_features(head, *map(torch.from_numpy, moments_of_means))
        return predicted, best

    def _fit_frames(
        self, head, store, units, fold, batches, seed, run_opts, advance
    ) -> tuple[Tensor, BestEpoch]:
        best = BestEpoch("valid_loss", lowest=True)
        brain = ProbeBrain(
            {"head": head},
            self._optimizer,
            {
                "seed": seed,
                "loss": OBJECTIVES[self._objective],
                "valid_scores": lambda predicted, targets: {},
                "best": best,
                "schedule": None,
                "advance": advance,
                "max_grad_norm": float("inf"),
            },
            run_opts,
        )
        items = PackedUtterances(store, units)
        brain.fit(
            range(1, self.steps + 1),
            items.loader(batches),
            items.loader(batches_in_order(fold.valid)),
            progressbar=False,
        )
        return brain.outputs(items.loader(batches_in_order(fold.test))), best
