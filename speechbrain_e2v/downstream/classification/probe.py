"""The released probe: a small head on frozen features.

emotion2vec's downstream code (paper section 4.3, and what that code does):
Linear(D, 256), ReLU, mean over frames, Linear(256, C); cross-entropy; RMSprop
with learning rate 5e-4, momentum 0.9 and no weight decay; CyclicLR between
5e-4 and 1e-3, ten steps up, stepped once per *epoch*, which by torch's default
cycles the momentum between 0.9 and 0.8 too; batches of 128, 100 epochs; the
first epoch with the best validation WA is tested.
"""

import copy

import speechbrain as sb
import torch
import torch.nn.functional as F

from speechbrain_e2v.downstream.classification.probe_settings import fold_seed
from speechbrain_e2v.downstream.fold_result import FoldOutcome
from speechbrain_e2v.downstream.packed import (
    PackedUtterances,
    ShuffledBatches,
    batches_in_order,
)
from speechbrain_e2v.metrics import weighted_accuracy
from speechbrain_e2v.training.brain import E2VBrain


class ProbeBrain(E2VBrain):
    """Trains a head on packed features and keeps its best epoch in memory.

    Arguments
    ---------
    modules : dict
        ``{"head": ...}``, a class of :mod:`speechbrain_e2v.lobes.heads`.
    opt_class : callable
        Parameters to optimizer.
    hparams : dict
        ``seed``; ``schedule``, an optimizer to a scheduler that is stepped
        once per epoch; ``after_epoch``, called with each epoch's entry of the
        history.
    run_opts : RunOptions, dict or None
        Device and so on.
    """

    def on_fit_start(self):
        """Build the optimizer, then the schedule on it."""
        super().on_fit_start()
        self._schedule = self.hparams.schedule(self.optimizer)
        self.history = []
        self.best = None

    def on_stage_start(self, stage, epoch=None):
        """Forget the predictions of the stage before."""
        self._logits, self._labels = [], []

    def compute_forward(self, batch, stage):
        """Logits [B, C] of a packed batch."""
        batch = batch.to(self.device)
        return self.modules.head.packed(batch.frames, batch.num_frames)

    def compute_objectives(self, logits, batch, stage):
        """Cross-entropy, mean over the utterances of the batch."""
        labels = batch.labels.to(self.device)
        if stage != sb.Stage.TRAIN:
            self._logits.append(logits)
            self._labels.append(labels)
        return F.cross_entropy(logits.float(), labels)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """After training step the schedule, after validation keep the best."""
        if stage == sb.Stage.TRAIN:
            group = self.optimizer.param_groups[0]
            self.history.append(
                {
                    "epoch": epoch,
                    "lr": group["lr"],
                    "momentum": group.get("momentum"),
                    "train_loss": float(stage_loss),
                }
            )
            self._schedule.step()
        if stage == sb.Stage.VALID:
            predicted = torch.cat(self._logits).argmax(dim=1)
            wa = weighted_accuracy(
                torch.cat(self._labels).tolist(), predicted.tolist()
            )
            entry = self.history[-1]
            entry.update(valid_loss=float(stage_loss), valid_wa=wa)
            if self.best is None or wa > self.best["valid_wa"]:
                state = self.modules.head.state_dict()
                self.best = {**entry, "state": copy.deepcopy(state)}
            self.hparams.after_epoch(entry)

    def posteriors(self, batches):
        """Class probabilities with the best epoch's head.

        Arguments
        ---------
        batches : DataLoader
            Packed batches.

        Returns
        -------
        torch.Tensor
            [N, C] on the CPU.
        """
        self.modules.head.load_state_dict(self.best["state"])
        self.modules.eval()
        with torch.no_grad():
            logits = [
                self.compute_forward(batch, sb.Stage.TEST) for batch in batches
            ]
        return torch.cat(logits).float().softmax(dim=1).cpu()


class ProbeTrainer:
    """Trains one head per fold.

    Arguments
    ---------
    settings : ProbeSettings
        Head, optimizer, schedule, epochs and batches.
    """

    def __init__(self, settings):
        self._settings = settings
        self.steps = settings.number_of_epochs
        self.description = settings.describe("probe")

    def fit_all(self, store, labels, planned, n_classes, run_opts, advance):
        """Train on one fold after the other.

        Arguments
        ---------
        store, labels, n_classes, run_opts
            As for :meth:`fit`.
        planned : sequence of (Fold, int)
            Folds and seeds.
        advance : callable
            Called with nothing after each epoch of each fold.

        Yields
        ------
        int, FoldOutcome
            Position in ``planned`` and what came out.
        """
        for position, (fold, seed) in enumerate(planned):
            yield (
                position,
                self.fit(
                    store, labels, fold, n_classes, seed, run_opts,
                    lambda _: advance(),
                ),
            )  # fmt: skip

    def fit(self, store, labels, fold, n_classes, seed, run_opts, advance):
        """Train on a fold.

        Arguments
        ---------
        store : FeatureStore
            Frozen features.
        labels : dict of str to int
            Class index of each utterance.
        fold : Fold
            Ids that train, validate and test.
        n_classes : int
            Number of classes.
        seed : int
            Seed of initial weights and batch orders.
        run_opts : RunOptions or None
            Device and so on.
        advance : callable
            Called with a dict after each of ``steps`` epochs.

        Returns
        -------
        FoldOutcome
        """
        settings = self._settings
        seed = fold_seed(seed, fold)
        head = settings.build_head(store.dim, n_classes, seed)
        with torch.random.fork_rng(devices=[]):
            brain = ProbeBrain(
                {"head": head},
                settings.optimizer,
                {
                    "seed": seed,
                    "schedule": settings.schedule,
                    "after_epoch": advance,
                    "max_grad_norm": float("inf"),  # released: no clipping
                },
                run_opts,
            )
            items = PackedUtterances(store, labels)
            brain.fit(
                range(1, self.steps + 1),
                items.loader(
                    ShuffledBatches(fold.train, settings.batch_size, seed)
                ),
                items.loader(batches_in_order(fold.valid)),
                progressbar=False,
            )
            posteriors = brain.posteriors(
                items.loader(batches_in_order(fold.test))
            )
        best = dict(brain.best)
        del best["state"]
        arguments = settings.head_arguments(store.dim, n_classes)
        return FoldOutcome(head, arguments, posteriors, best, brain.history)
