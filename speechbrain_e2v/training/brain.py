"""E2VBrain: SpeechBrain's training loop with its traps closed.

Every guard stands in one place: options in run_options.py, loaders in
loaders.py, gradients in optimizer_step.py, checkpoints in checkpointing.py and
progress.py, frozen modules and the order of events here.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import speechbrain as sb
import torch
from speechbrain.core import INTRA_EPOCH_CKPT_FLAG
from speechbrain.dataio.dataloader import LoopedLoader
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import is_distributed_initialized
from speechbrain.utils.run_opts import RunOptions
from torch.utils.data import DataLoader

from speechbrain_e2v.console import shows_progress
from speechbrain_e2v.training import loaders
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer
from speechbrain_e2v.training.optimizer_step import (
    OptimizerStep,
    trainable_groups,
)
from speechbrain_e2v.training.progress import Progress, checkpoint_is_due
from speechbrain_e2v.training.run_options import checked_options
from speechbrain_e2v.training.seeding import stable_hash


class FrozenAwareModuleDict(torch.nn.ModuleDict):
    """Modules of a Brain, of which frozen ones ignore ``train()``.

    ``Brain._fit_train`` calls ``modules.train()``, which would give a frozen
    teacher or encoder its dropout back. A module counts as frozen when it has
    parameters and none requires a gradient at the time of the call.

    >>> teacher = torch.nn.Dropout(0.5), torch.nn.Linear(2, 2)
    >>> teacher = torch.nn.Sequential(*teacher).requires_grad_(False)
    >>> modules = FrozenAwareModuleDict({"teacher": teacher}).train()
    >>> modules.training, modules["teacher"].training
    (True, False)
    """

    def train(self, mode: bool = True) -> "FrozenAwareModuleDict":
        super().train(mode)
        for module in self.values():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self


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

    `modules` that are frozen stay in evaluation mode, and `raw_modules` keeps
    them all unwrapped. `hparams` must hold `seed` and may hold `lr_schedule`, a
    function from the number of updates made to the learning rate of the next
    one. What cannot work is refused as `checked_options` says.

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

    modules: torch.nn.ModuleDict
    debug_batches: int
    noprogressbar: bool

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module] | None = None,
        opt_class: Callable[[list[dict]], torch.optim.Optimizer] | None = None,
        hparams: Mapping[str, Any] | None = None,
        run_opts: RunOptions | Mapping[str, Any] | None = None,
        checkpointer: AtomicCheckpointer | None = None,
    ):
        hparams, run_opts = checked_options(hparams, run_opts, checkpointer)
        super().__init__(modules, opt_class, hparams, run_opts, checkpointer)
        self.modules = FrozenAwareModuleDict(dict(self.modules.items()))
        # SpeechBrain's raw_modules become DDP wrappers together with modules;
        # a container of its own keeps what EMA and export read.
        self.raw_modules = torch.nn.ModuleDict(dict(self.modules.items()))
        grouped = is_distributed_initialized()
        self.world_size = torch.distributed.get_world_size() if grouped else 1
        self.rank = torch.distributed.get_rank() if grouped else 0
        self.noprogressbar = self.noprogressbar or not shows_progress()
        # Debugging with fewer micro-batches than an update would train nothing.
        factor = self.grad_accumulation_factor
        self.debug_batches = -(-self.debug_batches // factor) * factor
        self.seed = hparams["seed"]
        self.lr_schedule = hparams.get("lr_schedule")
        self.learning_rate: float | None = None
        self._update = OptimizerStep(
            self.device,
            self.scaler,
            factor * self.world_size,
            self.max_grad_norm,
            self.nonfinite_patience,
            self.skip_nonfinite_grads,
        )

    @property
    def skipped_steps(self) -> int:
        """Updates given up so far, also before a resumption."""
        return self._update.skipped

    @property
    def grad_norm(self) -> float:
        """Gradient norm of the last update, before clipping."""
        return self._update.grad_norm

    @property
    def update_targets(self) -> int:
        """Targets of the last update, over all micro-batches and ranks."""
        return self._update.num_targets

    def on_optimizer_step(self) -> None:
        """Called after each update made, never after a skipped one.

        For whatever keys on updates: EMA, schedules, health. The number of the
        update just made is `self.optimizer_step`, counted from 1.
        """

    def count_targets(self, n: int | torch.Tensor) -> None:
        """Add a micro-batch's targets to the update's.

        For n = 0 (all files bad) the forward pass still has to run, on a
        placeholder, so that ranks stay in step; it changes nothing.
        """
        self._update.count(n)

    def weighted(
        self, loss_mean: torch.Tensor, n: int | torch.Tensor
    ) -> torch.Tensor:
        """Give a mean loss the gradient of a sum; see OptimizerStep."""
        # The running average as the value of an empty micro-batch leaves the
        # running average where it is.
        return self._update.weighted(loss_mean, n, self.avg_train_loss)

    def fit_batch(self, batch: Any) -> torch.Tensor:
        """Fit one micro-batch, with random numbers of its own.

        No checkpoint holds the state of a generator: torch is seeded from the
        seed, the update and the place in the update. The place counts ranks, so
        two ranks draw what one rank with accumulation 2 draws.
        """
        micro_batch = (self.step - 1) % self.grad_accumulation_factor
        slot = micro_batch * self.world_size + self.rank
        torch.manual_seed(stable_hash(self.seed, self.optimizer_step, slot))
        return super().fit_batch(batch)

    def optimizers_step(self) -> None:
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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all optimizers and the targets behind them."""
        for optimizer in (self.optimizers_dict or {}).values():
            optimizer.zero_grad(set_to_none=set_to_none)
        self._update.begin()

    def parameter_groups(self) -> list[dict]:
        """Return the optimizer's groups; one may hold an `lr_factor`."""
        return trainable_groups(
            self.modules.parameters(), self.remove_vector_weight_decay
        )

    def init_optimizers(self) -> None:
        """Build the optimizer over parameters that require a gradient only."""
        if self.opt_class is None:
            return
        self.optimizer = self.opt_class(self.parameter_groups())
        self.optimizers_dict = {"opt_class": self.optimizer}
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def fit(
        self,
        epoch_counter: Iterable[int],
        train_set: Any,
        valid_set: Any = None,
        progressbar: bool | None = None,
        train_loader_kwargs: Mapping[str, Any] | None = None,
        valid_loader_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Train until the epochs or `optimizer_step_limit` are used up.

        As in SpeechBrain, but a `train_set` that is a loader is saved and told
        the epoch, too. A finished run starts no epoch.
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

    def on_fit_start(self) -> None:
        """Wrap modules, build optimizers, resume from a complete checkpoint."""
        if self.checkpointer is not None:
            self.checkpointer.remove_leftovers()
        super().on_fit_start()
        self.last_save = time.monotonic()

    def on_evaluate_start(
        self, max_key: str | None = None, min_key: str | None = None
    ) -> None:
        """Load the best checkpoint, but not its place in an epoch."""
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        self.step = 0  # the average test loss divides by it

    def evaluate(
        self,
        test_set: Any,
        *args: Any,
        test_loader_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> float:
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
        # SpeechBrain keeps one; two, for the day when the newest is damaged.
        self.checkpointer.save_and_keep_only(
            end_of_epoch=False,
            num_to_keep=2,
            ckpt_predicate=lambda ckpt: INTRA_EPOCH_CKPT_FLAG in ckpt.meta,
            meta={INTRA_EPOCH_CKPT_FLAG: True},
            verbosity=logging.DEBUG,
        )
        self.last_save = time.monotonic()

    @mark_as_saver
    def _save(self, path: Path) -> None:
        Progress(
            self.step,
            self.optimizer_step,
            float(self.avg_train_loss),
            self.skipped_steps,
        ).write(path, self.grad_accumulation_factor)

    @mark_as_loader
    def _recover(self, path: Path, end_of_epoch: bool) -> None:
        progress = Progress.read(path, end_of_epoch)
        self.step = progress.step
        self.optimizer_step = progress.optimizer_step
        self.avg_train_loss = progress.avg_train_loss
        self._update.skipped = progress.skipped_steps
