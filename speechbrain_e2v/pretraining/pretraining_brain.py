"""What every pre-training is: data, health log, epochs, files lost."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import speechbrain as sb
import torch
from speechbrain.utils.logger import get_logger

from speechbrain_e2v.console import Ended
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.pretraining.data import (
    PretrainingBatch,
    PretrainingDataset,
    from_padded_batch,
)
from speechbrain_e2v.pretraining.figures import Figures
from speechbrain_e2v.pretraining.monitor import TrainingMonitor
from speechbrain_e2v.pretraining.settings import RunSettings
from speechbrain_e2v.training.brain import E2VBrain
from speechbrain_e2v.training.seeding import stable_hash

VALIDATION = -1
"""Takes the update's place in seeds, so that validation repeats its masks."""
logger = get_logger(__name__)


class TooManyBadFiles(ValueError):
    """More files than a run may lose could not be read."""


class PretrainingBrain(E2VBrain):
    """A student that learns from unlabelled speech, watched as it does.

    `hparams` holds, beside what E2VBrain needs, `student`, `log_interval` and
    `max_bad_share`. With an `output_folder`, a run is watched as
    `TrainingMonitor` says; `collapse` and `train_logger` are optional.

    Batches are PretrainingBatch, or SpeechBrain's PaddedBatch with `id` and
    `wav`, which a DynamicItemDataset with these output keys gives.

    Subclasses write, beside E2VBrain's two methods, `initial_weights` and
    `loss_weights`, and put losses and features into `figures`.
    """

    KEYS: ClassVar[tuple[str, ...]] = ()
    """Keys of a yaml that this objective reads, beside every run's."""
    NUMBERS: ClassVar[Mapping[str, tuple[float, bool]]] = {}
    """Those that are numbers: the smallest, and whether they are whole."""
    SCHEDULES: ClassVar[tuple[str, ...]] = ("lr_schedule",)
    """Those that are functions of the update."""
    Dataset: ClassVar[type[PretrainingDataset]] = PretrainingDataset
    """What reads the utterances."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.monitor = self._make_monitor()
        self.settings = RunSettings()
        """What the run's weights depend on, for its checkpoints."""
        self.utterances = 0
        self._read = self._bad = 0
        self._begin_figures()

    @abstractmethod
    def initial_weights(self) -> str:
        """Give a new run its first weights; says what was taken."""

    @abstractmethod
    def loss_weights(self) -> dict[str, float]:
        """What each loss in `figures` counts in the sum."""

    def extra_figures(self) -> dict[str, float]:
        """What else belongs into the line of an update."""
        return {}

    def _make_monitor(self) -> TrainingMonitor | None:
        folder = getattr(self.hparams, "output_folder", None)
        if folder is None:
            return None
        limits = (
            self.optimizer_step_limit,
            getattr(self.hparams, "updates", None),
        )
        return TrainingMonitor(
            folder,
            min((int(limit) for limit in limits if limit), default=0),
            int(self.hparams.log_interval),
            getattr(self.hparams, "collapse", None),
            getattr(self.hparams, "train_logger", None),
            progress=not self.noprogressbar,
        )

    # ---- a run

    def fit(
        self,
        epoch_counter: Iterable[int],
        train_set: Any,
        valid_set: Any = None,
        progressbar: bool | None = None,
        train_loader_kwargs: Mapping[str, Any] | None = None,
        valid_loader_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Train; see E2VBrain.fit. The monitor has a bar of its own."""
        self.utterances = len(getattr(train_set, "dataset", train_set))
        self.validates = valid_set is not None
        try:
            super().fit(
                epoch_counter,
                train_set,
                valid_set,
                progressbar if self.monitor is None else False,
                train_loader_kwargs,
                valid_loader_kwargs,
            )
        except Ended as ended:
            ended.line += f" at update {self.optimizer_step}"
            if self.checkpointer is not None:
                ended.line += "; the same command goes on"
            raise
        finally:
            if self.monitor is not None:
                self.monitor.close()

    def on_fit_start(self) -> None:
        """Resume, then start watching from there."""
        super().on_fit_start()
        if self.optimizers_dict is not None:
            # The saved groups bring settings of then: weight decay, betas.
            pairs = zip(
                self.optimizer.param_groups, self._group_settings, strict=True
            )
            for group, settings in pairs:
                group.update(settings)
        if self.checkpointer is not None:
            # Added after recovery: an earlier version's checkpoint has none.
            self.checkpointer.add_recoverable("settings", self.settings)
        if self.monitor is not None:
            self.monitor.start(self.optimizer_step)

    def init_optimizers(self) -> None:
        """Build the optimizer, and remember what its groups were given."""
        super().init_optimizers()
        if self.optimizers_dict is not None:
            self._group_settings = [
                {k: v for k, v in group.items() if k not in ("params", "lr")}
                for group in self.optimizer.param_groups
            ]

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Begin the figures of a validation; training has its own."""
        if stage != sb.Stage.TRAIN:
            self._begin_figures()
            if self.monitor is not None:
                self.monitor.on_validation_start()

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Write an epoch down, with its validation where there is one."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            if self.validates:
                return
            found = None
        else:
            found = self.mean_losses() | self.figures.health_of_rows()
            self._begin_figures()
        if self.monitor is not None and epoch is not None:
            self.monitor.on_epoch(epoch, self, self.train_loss, found)

    # ---- one micro-batch

    def fit_batch(self, batch: Any) -> torch.Tensor:
        """Fit one micro-batch; also outside of `fit`, without a checkpoint."""
        if self.optimizers_dict is None:
            self.init_optimizers()
        if (self.step - 1) % self.grad_accumulation_factor == 0:
            self._begin_figures()  # also after an update that was skipped
        return super().fit_batch(_pretraining_batch(batch))

    def evaluate_batch(self, batch: Any, stage: sb.Stage) -> torch.Tensor:
        """Loss of a batch that nothing learns from, the same at each call."""
        batch = _pretraining_batch(batch)
        # Training draws nothing from here on: it seeds every micro-batch.
        torch.manual_seed(stable_hash(self.seed, VALIDATION, *batch.ids))
        return super().evaluate_batch(batch, stage)

    def check_loss_isfinite(self, loss: torch.Tensor) -> None:
        """Count losses that are not finite, and end a run of only such."""
        try:
            super().check_loss_isfinite(loss)
        except ValueError:
            raise FloatingPointError(
                f"The loss of update {self.optimizer_step + 1} is "
                f"{loss.item()}, and more than {self.nonfinite_patience} "
                "were not finite (nonfinite_patience): lower the learning "
                "rate, lengthen the warm-up, or use bf16 instead of fp16."
            ) from None

    # ---- one update

    def on_optimizer_step(self) -> None:
        """Log, watch for collapse."""
        if self.monitor is not None:
            self.monitor.on_update(self)
        self._begin_figures()

    @property
    def is_logged(self) -> bool:
        """Whether the update in progress will be logged."""
        return (self.optimizer_step + 1) % self.hparams.log_interval == 0

    def mean_losses(self) -> dict[str, float]:
        """Losses of a logged update, or of a validation; all ranks must call.

        Means over all micro-batches and ranks, weighted by targets as in the
        update itself.
        """
        means = self.figures.mean_losses(self.sum_over_ranks)
        if means is None:
            raise TooManyBadFiles("no utterance of valid_manifests can be read")
        weights = self.loss_weights()
        total = sum(weights[name] * value for name, value in means.items())
        named = {f"loss_{name}": value for name, value in means.items()}
        return {"loss": total, **named}

    def sum_over_ranks(self, x: torch.Tensor) -> torch.Tensor:
        """Sum a tensor over all ranks, in place; all ranks must call."""
        if self.world_size > 1:
            torch.distributed.all_reduce(x)
        return x

    def _begin_figures(self) -> None:
        self.figures = Figures(self.device)
        self.update_seconds = 0.0

    # ---- speech heard, files lost

    def count_speech(self, batch: PretrainingBatch, training: bool) -> None:
        """Note what was heard and what was lost.

        TooManyBadFiles when training has lost too many.
        """
        for bad in batch.skipped:
            logger.warning("Skipped %s (%s): %s", bad.id, bad.path, bad.reason)
        if not training:
            return
        self.update_seconds += batch.num_samples.sum().item() / SAMPLE_RATE
        self._read += len(batch.ids) + len(batch.skipped)
        self._bad += len(batch.skipped)
        limit = self.hparams.max_bad_share
        if self._bad > limit * max(self._read, self.utterances):
            raise TooManyBadFiles(
                f"{self._bad} of {self._read} files could not be read since "
                f"the start of this run; max_bad_share is {limit}. Mend the "
                "files named in the log or leave them out of the manifest."
            )

    @property
    def skipped_files(self) -> int:
        """How many files could not be read since this process started."""
        return self._bad


def _pretraining_batch(batch: Any) -> PretrainingBatch:
    if isinstance(batch, PretrainingBatch):
        return batch
    return from_padded_batch(batch)
