"""E2VBrain: SpeechBrain's training loop with its traps closed.

Every guard stands in one place: options in options.py, modules and optimizer
groups in frozen.py, loaders in loaders.py, gradients in updates.py, checkpoints
in checkpointing.py and progress.py, the order of events here.
"""

import itertools
import time

import speechbrain as sb
import torch
from speechbrain.dataio.dataloader import LoopedLoader
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import is_distributed_initialized
from torch.utils.data import DataLoader

from speechbrain_e2v.training import loaders
from speechbrain_e2v.training.frozen import KeepFrozenInEval, trainable_groups
from speechbrain_e2v.training.progress import Progress, checkpoint_is_due
from speechbrain_e2v.training.run_options import checked_options
from speechbrain_e2v.training.seeding import stable_hash
from speechbrain_e2v.training.skips import SkippedUpdates
from speechbrain_e2v.training.update_targets import UpdateTargets
from speechbrain_e2v.training.updates import Update


@register_checkpoint_hooks
class E2VBrain(sb.Brain):
    """Brain whose runs resume bit-exactly and do not depend on the rank count.

    An update is one optimizer step: `grad_accumulation_factor` micro-batches on
    every rank. `optimizer_step` counts updates made, `skipped_steps` updates
    given up; `grad_norm`, `update_targets` and `learning_rate` (None without
    `lr_schedule`) belong to the last one.

    Subclasses write ``compute_forward(batch, stage)`` and
    ``compute_objectives(predictions, batch, stage)``. Where the loss is a mean
    over targets, the latter ends in ::

        self.count_targets(n)
        return self.weighted(loss_mean, n)

    so that an update's gradient is the mean over the targets of all its
    micro-batches and ranks. Without these calls it is the mean over
    micro-batches, as in SpeechBrain.

    Arguments
    ---------
    modules : dict of torch.nn.Module
        Frozen ones stay in evaluation mode. `raw_modules` keeps them unwrapped.
    opt_class : callable, optional
        From parameter groups to an optimizer.
    hparams : dict
        Must hold `seed`; may hold `lr_schedule`, a function from the number of
        updates made to the learning rate of the next one.
    run_opts : RunOptions or dict, optional
    checkpointer : AtomicCheckpointer, optional

    Raises
    ------
    ValueError, TypeError
        When options, hparams or the checkpointer cannot work.

    Example
    -------
    >>> class MeanBrain(E2VBrain):
    ...     def compute_forward(self, batch, stage):
    ...         return self.modules.model(batch)
    ...
    ...     def compute_objectives(self, predictions, batch, stage):
    ...         self.count_targets(predictions.numel())
    ...         return self.weighted(
    ...             predictions.square().mean(), predictions.numel())
    >>> brain = MeanBrain(
    ...     {"model": torch.nn.Linear(3, 1)},
    ...     lambda groups: torch.optim.SGD(groups, lr=0.1),
    ...     {"seed": 1}, {"device": "cpu", "noprogressbar": True})
    >>> brain.fit(range(2), torch.ones(4, 3), train_loader_kwargs={
    ...     "batch_size": 2})
    >>> brain.optimizer_step
    4
    """

    def __init__(
        self,
        modules=None,
        opt_class=None,
        hparams=None,
        run_opts=None,
        checkpointer=None,
    ):
        hparams, run_opts = checked_options(hparams, run_opts, checkpointer)
        super().__init__(modules, opt_class, hparams, run_opts, checkpointer)
        self.modules = KeepFrozenInEval(dict(self.modules.items()))
        # SpeechBrain's raw_modules become DDP wrappers together with modules;
        # a container of its own keeps what EMA and export read.
        self.raw_modules = torch.nn.ModuleDict(dict(self.modules.items()))
        grouped = is_distributed_initialized()
        self.world_size = torch.distributed.get_world_size() if grouped else 1
        self.rank = torch.distributed.get_rank() if grouped else 0
        # Debugging with fewer micro-batches than an update would train nothing.
        factor = self.grad_accumulation_factor
        self.debug_batches = -(-self.debug_batches // factor) * factor
        self.seed = hparams["seed"]
        self.lr_schedule = hparams.get("lr_schedule")
        self.learning_rate = None
        self._targets = UpdateTargets(self.device)
        self._skips = SkippedUpdates(
            self.nonfinite_patience, self.skip_nonfinite_grads, self.scaler
        )
        self._update = Update(
            self._targets,
            self._skips,
            self.scaler,
            factor * self.world_size,
            self.max_grad_norm,
        )

    @property
    def skipped_steps(self):
        """Updates given up so far, also before a resumption."""
        return self._skips.total

    @property
    def grad_norm(self):
        """Gradient norm of the last update, before clipping."""
        return self._update.grad_norm

    @property
    def update_targets(self):
        """Targets of the last update, over all micro-batches and ranks."""
        return self._update.num_targets

    def on_optimizer_step(self):
        """Called after each update made, never after a skipped one.

        For whatever keys on updates: EMA, schedules, health. The number of the
        update just made is `self.optimizer_step`, counted from 1.
        """

    def count_targets(self, n):
        """Add a micro-batch's targets to the update's; see UpdateTargets.

        For n = 0 (all files bad) the forward pass still has to run, on a
        placeholder, so that ranks stay in step; it changes nothing.
        """
        self._targets.count(n)

    def weighted(self, loss_mean, n):
        """Give a mean loss the gradient of a sum; see UpdateTargets."""
        # The running average as the value of an empty micro-batch leaves the
        # running average where it is.
        return self._targets.weighted(loss_mean, n, self.avg_train_loss)

    def fit_batch(self, batch):
        """Fit one micro-batch, with random numbers of its own.

        No checkpoint holds the state of a generator: torch is seeded from the
        seed, the update and the place in the update. The place counts ranks, so
        two ranks draw what one rank with accumulation 2 draws.
        """
        micro_batch = (self.step - 1) % self.grad_accumulation_factor
        slot = micro_batch * self.world_size + self.rank
        torch.manual_seed(stable_hash(self.seed, self.optimizer_step, slot))
        return super().fit_batch(batch)

    def optimizers_step(self):
        """Make one update, or skip it whole; only updates made are counted."""
        if self.optimizers_dict is None:
            return
        optimizers = self.freeze_optimizers(self.optimizers_dict).values()
        if self.lr_schedule is not None:
            self.learning_rate = self.lr_schedule(self.optimizer_step)
        made = self._update.make(
            list(optimizers), self.optimizer_step + 1, self.learning_rate
        )
        self.zero_grad()
        if made:
            self.optimizer_step += 1
            self.on_optimizer_step()

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all optimizers and the targets behind them."""
        for optimizer in (self.optimizers_dict or {}).values():
            optimizer.zero_grad(set_to_none=set_to_none)
        self._targets.reset()

    def parameter_groups(self):
        """Return the optimizer's groups; one may hold an `lr_factor`."""
        return trainable_groups(self.modules, self.remove_vector_weight_decay)

    def init_optimizers(self):
        """Build the optimizer over parameters that require a gradient only."""
        if self.opt_class is None:
            return
        self.optimizer = self.opt_class(self.parameter_groups())
        self.optimizers_dict = {"opt_class": self.optimizer}
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def fit(
        self,
        epoch_counter,
        train_set,
        valid_set=None,
        progressbar=None,
        train_loader_kwargs=None,
        valid_loader_kwargs=None,
    ):
        """Train until the epochs or `optimizer_step_limit` are used up.

        Arguments as in SpeechBrain, but a `train_set` that is a loader is saved
        and told the epoch, too. A finished run starts no epoch.
        """
        if not isinstance(train_set, DataLoader | LoopedLoader):
            train_set = self.make_dataloader(
                train_set, sb.Stage.TRAIN, **(train_loader_kwargs or {})
            )
        resumable = self.checkpointer is not None
        loaders.check_train_loader(
            train_set, self.rank, self.world_size, resumable
        )
        if resumable:
            self.checkpointer.add_recoverable("dataloader-TRAIN", train_set)
        # A sampler that does not hear of epochs repeats one order, and a
        # resumed epoch replays the wrong batches.
        self.train_sampler = loaders.epoch_sampler(train_set)
        unfinished = itertools.takewhile(
            lambda _: not self._optimizer_step_limit_exceeded, epoch_counter
        )
        super().fit(
            unfinished,
            train_set,
            valid_set,
            progressbar,
            valid_loader_kwargs=valid_loader_kwargs or {},
        )

    def on_fit_start(self):
        """Wrap modules, build optimizers, resume from a complete checkpoint."""
        if self.checkpointer is not None:
            self.checkpointer.remove_leftovers()
        super().on_fit_start()
        self.last_save = time.monotonic()

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Load the best checkpoint, but not its place in an epoch."""
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        self.step = 0  # the average test loss divides by it

    def evaluate(self, test_set, *args, test_loader_kwargs=None, **kwargs):
        """Evaluate; SpeechBrain's version writes into its default argument."""
        kwargs["test_loader_kwargs"] = dict(test_loader_kwargs or {})
        return super().evaluate(test_set, *args, **kwargs)

    def _train_loader_specifics(self, dataset, loader_kwargs):
        # SpeechBrain would hand out shards of a shard.
        if loaders.shards_itself(loader_kwargs.get("batch_sampler")):
            return loader_kwargs
        return super()._train_loader_specifics(dataset, loader_kwargs)

    def _fit_train(self, train_set, epoch, enable):
        if self.grad_accumulation_factor > 1 and not self.debug:
            if self.train_sampler is not None:
                self.train_sampler.set_epoch(epoch)
            loaders.check_whole_updates(
                train_set, self.grad_accumulation_factor
            )
        super()._fit_train(train_set, epoch, enable)

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        return self.checkpointer is not None and checkpoint_is_due(self)

    def _save_intra_epoch_ckpt(self):
        super()._save_intra_epoch_ckpt()
        self.last_save = time.monotonic()

    @mark_as_saver
    def _save(self, path):
        Progress(
            self.step,
            self.optimizer_step,
            float(self.avg_train_loss),
            self.skipped_steps,
        ).write(path, self.grad_accumulation_factor)

    @mark_as_loader
    def _recover(self, path, end_of_epoch):
        progress = Progress.read(path, end_of_epoch)
        self.step = progress.step
        self.optimizer_step = progress.optimizer_step
        self.avg_train_loss = progress.avg_train_loss
        self._skips.total = progress.skipped_steps
