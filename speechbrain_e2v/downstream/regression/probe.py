"""Regression probes: a small head on frozen features, continuous targets.

Targets are standardised with the training part's mean and deviation, so that
neither loss nor learning rate depends on the scale; the trained head gives
values in units of the scale. A ``LinearHead`` is linear in the mean over
frames: it is trained on these means, standardised likewise, which is the same
function and many times quicker. Other heads see every frame, as it is.
"""

import copy

import numpy as np
import speechbrain as sb
import torch
from speechbrain.utils.distributed import infer_device

from speechbrain_e2v.downstream.config_of_callable import described
from speechbrain_e2v.downstream.packed import (
    PackedUtterances,
    ShuffledBatches,
    batches_in_order,
)
from speechbrain_e2v.downstream.regression.fold_result import (
    RegressionOutcome,
    in_units,
    on_raw_features,
)
from speechbrain_e2v.downstream.regression.losses import OBJECTIVES
from speechbrain_e2v.downstream.regression.utterance_probe import (
    StandardisedMeans,
    check_finite,
    moments,
    train_on_means,
)
from speechbrain_e2v.lobes.heads import LinearHead
from speechbrain_e2v.training.brain import E2VBrain
from speechbrain_e2v.training.seeding import stable_hash


class RegressionBrain(E2VBrain):
    """Trains a head and keeps the epoch with the lowest validation loss.

    Arguments
    ---------
    modules : dict
        ``{"head": ...}``, a class of :mod:`speechbrain_e2v.lobes.heads`.
    opt_class : callable
        Parameters to optimizer.
    hparams : dict
        ``seed``; ``objective``, a key of ``OBJECTIVES``; ``after_epoch``,
        called with each epoch's entry of the history.
    run_opts : RunOptions, dict or None
        Device and so on.
    """

    def on_fit_start(self):
        """Build the optimizer and forget what was before."""
        super().on_fit_start()
        self._loss = OBJECTIVES[self.hparams.objective]
        self.history = []
        self.best = None

    def on_stage_start(self, stage, epoch=None):
        """Forget the predictions of the stage before."""
        self._predicted, self._ratings = [], []

    def compute_forward(self, batch, stage):
        """Predictions [B, n] of a packed batch."""
        batch = batch.to(self.device)
        return self.modules.head.packed(batch.frames, batch.num_frames)

    def compute_objectives(self, predicted, batch, stage):
        """The objective over the batch."""
        targets = batch.labels.to(self.device)
        if stage != sb.Stage.TRAIN:
            self._predicted.append(predicted)
            self._ratings.append(targets)
        return self._loss(predicted, targets)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """After validation keep the head if it is the best so far."""
        if stage == sb.Stage.TRAIN:
            self.history.append(
                {"epoch": epoch, "train_loss": float(stage_loss)}
            )
        if stage == sb.Stage.VALID:
            # Over the whole part: concordance is no mean over batches.
            loss = self._loss(
                torch.cat(self._predicted), torch.cat(self._ratings)
            ).item()
            check_finite(epoch, loss)
            entry = self.history[-1]
            entry["valid_loss"] = loss
            if self.best is None or loss < self.best["valid_loss"]:
                state = self.modules.head.state_dict()
                self.best = {**entry, "state": copy.deepcopy(state)}
            self.hparams.after_epoch(entry)

    def predictions(self, batches):
        """Values with the best epoch's head, [N, n] on the CPU."""
        self.modules.head.load_state_dict(self.best["state"])
        self.modules.eval()
        with torch.no_grad():
            values = [
                self.compute_forward(batch, sb.Stage.TEST) for batch in batches
            ]
        return torch.cat(values).float().cpu()


class RegressionTrainer:
    """Trains one head per fold and seed.

    Arguments
    ---------
    head : callable
        ``head(input_dim=..., n_classes=...)`` builds the regressor; it has
        as many outputs as there are targets.
    optimizer : callable
        ``optimizer(parameters)``.
    objective : str
        ``ccc``, ``mse`` or ``mae``.
    number_of_epochs : int
        Epochs.
    batch_size : int
        Utterances in a training batch.

    Raises
    ------
    ValueError
        For an unknown objective or a number below 1.

    Example
    -------
    >>> trainer = RegressionTrainer(
    ...     LinearHead, torch.optim.Adam, "ccc", number_of_epochs=3)
    >>> trainer.description["input"]
    'standardised utterance means'
    """

    def __init__(
        self, head, optimizer, objective, number_of_epochs, batch_size=128
    ):
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
            "head": described(head),
            "input": "standardised utterance means"
            if self._linear
            else "frames",
            "objective": objective,
            "optimizer": described(optimizer),
            "number_of_epochs": number_of_epochs,
            "batch_size": batch_size,
            "selection": "first epoch with the lowest validation loss",
        }

    def fit(self, store, targets, fold, n_targets, seed, run_opts, advance):
        """Train on a fold.

        Arguments
        ---------
        store : FeatureStore
            Frozen features.
        targets : dict of str to list of float
            Ratings of each utterance [n].
        fold : Fold
            Ids that train, validate and test.
        n_targets : int
            Number of ratings n.
        seed : int
            Seed of initial weights and batch orders.
        run_opts : RunOptions or None
            Device and so on.
        advance : callable
            Called with a dict after each of ``steps`` epochs.

        Returns
        -------
        RegressionOutcome
        """
        seed = stable_hash("regression probe", seed, fold.name)
        arguments = {
            **getattr(self._head, "keywords", {}),
            "input_dim": store.dim,
            "n_classes": n_targets,
        }
        centre, spread = moments([targets[name] for name in fold.train])
        units = {
            name: ((np.asarray(targets[name]) - centre) / spread).tolist()
            for part in (fold.train, fold.valid, fold.test)
            for name in part
        }
        centre, spread = torch.from_numpy(centre), torch.from_numpy(spread)
        batches = ShuffledBatches(fold.train, self._batch_size, seed)
        fit = self._fit_means if self._linear else self._fit_frames
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = self._head(input_dim=store.dim, n_classes=n_targets)
            predicted, best, history = fit(
                head, store, units, fold, batches, seed, run_opts, advance
            )
        in_units(head, centre, spread)
        predictions = predicted.double() * spread + centre
        return RegressionOutcome(head, arguments, predictions, best, history)

    def _fit_means(
        self, head, store, units, fold, batches, seed, run_opts, advance
    ):
        means = StandardisedMeans(store, fold)
        head.to((run_opts or {}).get("device") or infer_device())
        best, history = train_on_means(
            head, self._optimizer, self._objective, means, units, fold,
            self.steps, batches, advance,
        )  # fmt: skip
        head.cpu()
        with torch.no_grad():
            predicted = head.output_layer(means.of(fold.test))
        moments_of_means = (means.centre, means.spread)
        on_raw_features(head, *map(torch.from_numpy, moments_of_means))
        return predicted, best, history

    def _fit_frames(
        self, head, store, units, fold, batches, seed, run_opts, advance
    ):
        brain = RegressionBrain(
            {"head": head},
            self._optimizer,
            {
                "seed": seed,
                "objective": self._objective,
                "after_epoch": advance,
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
        predicted = brain.predictions(items.loader(batches_in_order(fold.test)))
        best = {k: v for k, v in brain.best.items() if k != "state"}
        return predicted, best, brain.history
