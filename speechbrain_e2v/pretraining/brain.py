"""Online distillation: a student predicts what its own average computes."""

from collections.abc import Iterable, Mapping
from typing import Any

import speechbrain as sb
import torch
from speechbrain.utils.logger import get_logger

from speechbrain_e2v.console import Ended
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.pretraining.data import (
    BadUtterance,
    PretrainingBatch,
    from_padded_batch,
)
from speechbrain_e2v.pretraining.figures import Figures, Predictions
from speechbrain_e2v.pretraining.losses import (
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.masking import clone_seeds, mask_layout
from speechbrain_e2v.pretraining.monitor import TrainingMonitor
from speechbrain_e2v.pretraining.settings import RunSettings
from speechbrain_e2v.training.brain import E2VBrain
from speechbrain_e2v.training.seeding import stable_hash

VALIDATION = -1
"""Takes the update's place in seeds, so that validation repeats its masks."""
PLACEHOLDER_SECONDS = 1
logger = get_logger(__name__)


class TooManyBadFiles(ValueError):
    """More files than a run may lose could not be read."""


class DistillationBrain(E2VBrain):
    """emotion2vec pre-training (paper section 3, released behaviour).

    `hparams` holds, beside what E2VBrain needs: `student`, `teacher`,
    `draw_masks` (frames, seeds -> masks), `clones`, `noise_std`,
    `frame_loss_weight`, `utterance_loss`, `utterance_loss_weight`,
    `utterance_loss_reduction` ("mean": the paper; "sum": the released code),
    `frontend_lr_factor`, `ema_schedule` (update -> decay), `log_interval` and
    `max_bad_share`. With an `output_folder`, a run is watched as
    `TrainingMonitor` says; `collapse` and `train_logger` are optional.

    Batches are PretrainingBatch, or SpeechBrain's PaddedBatch with `id` and
    `wav`, which a DynamicItemDataset with these output keys gives.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        reduction = self.hparams.utterance_loss_reduction
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"utterance_loss_reduction is {reduction!r}: choose 'mean' "
                "(paper) or 'sum' (released code)."
            )
        self.monitor = self._make_monitor()
        self.settings = RunSettings()
        """What the run's weights depend on, for its checkpoints."""
        self.utterances = 0
        self.ema_decay = 0.0
        self._read = self._bad = 0
        self._begin_figures()

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

    def parameter_groups(self) -> list[dict]:
        """Give the waveform front end a learning rate of its own.

        It feeds student and teacher alike and has no slow copy, so a fast one
        drifts towards features that are easy to predict.
        """
        encoder = self.hparams.student.encoder
        slow = set(encoder.frontend.parameters())
        slow.update(encoder.projection.parameters())
        factor = self.hparams.frontend_lr_factor
        groups = []
        for group in super().parameter_groups():
            for inside, lr_factor in ((False, 1.0), (True, factor)):
                chosen = [p for p in group["params"] if (p in slow) is inside]
                groups.append(
                    {**group, "params": chosen, "lr_factor": lr_factor}
                )
        return [group for group in groups if group["params"]]

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
        with self.hparams.teacher.utterance_target.still():
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

    def compute_forward(
        self, batch: PretrainingBatch, stage: sb.Stage
    ) -> Predictions:
        """Run student and teacher on one batch.

        It comes on the CPU: frame counts and masks are made there, so that the
        device is never waited for.
        """
        wav, ids, num_samples = batch.wav, batch.ids, batch.num_samples
        if batch.is_empty:
            wav = torch.zeros(1, PLACEHOLDER_SECONDS * SAMPLE_RATE)
            ids, num_samples = ["placeholder"], torch.tensor([wav.shape[1]])
        padded = bool((num_samples < wav.shape[1]).any())
        encoder = self.hparams.student.encoder
        frames = encoder.num_frames(num_samples).tolist()
        training = stage == sb.Stage.TRAIN
        update = self.optimizer_step if training else VALIDATION
        seeds = clone_seeds(self.seed, update, ids, self.hparams.clones)
        layout = mask_layout(
            self.hparams.draw_masks(frames, seeds), frames if padded else None
        ).to(self.device)
        wav = wav.to(self.device, non_blocking=True)
        lengths = None
        if padded:
            lengths = (num_samples / wav.shape[1]).to(self.device)
        noise = self.hparams.noise_std * torch.randn(
            *layout.masked.shape, encoder.embed_dim, device=self.device
        )
        output = self.modules["student"](wav, lengths, layout, noise)
        targets = self.modules["teacher"](output.local, output.num_frames)
        _warn_of(batch.skipped)
        if training:
            self._count_speech(batch)
        return output, targets, layout

    def compute_objectives(
        self,
        predictions: Predictions,
        batch: PretrainingBatch,
        stage: sb.Stage,
    ) -> torch.Tensor:
        """Weigh frame and utterance loss; targets are masked frames."""
        output, targets, layout = predictions
        hparams = self.hparams
        target = masked_targets(targets.frames, layout)
        frames = frame_loss(output.prediction, target, layout.masked_real)
        count: int | torch.Tensor = frames.numel()
        if layout.masked_real is not None:
            count = layout.masked_real.sum()
        frame_mean = frames.sum() / count
        rows = utterance_loss(
            utterance_prediction(
                output.tokens,
                output.visible,
                layout.visible_real,
                hparams.utterance_loss,
            ),
            targets.utterance,
        )
        reduce = getattr(rows, hparams.utterance_loss_reduction)
        utterance = reduce()
        loss = (
            hparams.frame_loss_weight * frame_mean
            + hparams.utterance_loss_weight * utterance
        )
        if batch.is_empty:
            count = 0
        if stage != sb.Stage.TRAIN:
            self.figures.add(frame_mean, utterance, count)
            self.figures.keep_rows(predictions, target)
        elif self.is_logged:
            self.figures.add(frame_mean, utterance, count)
            self.figures.keep_batch(predictions, target)
        self.count_targets(count)
        return self.weighted(loss, count)

    # ---- one update

    def on_optimizer_step(self) -> None:
        """Let the teacher follow, log, watch for collapse."""
        update = self.optimizer_step
        self.ema_decay = self.hparams.ema_schedule(update)
        self.hparams.teacher.update(self.hparams.student, self.ema_decay)
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
        frame, utterance = means
        return {
            "loss": self.hparams.frame_loss_weight * frame
            + self.hparams.utterance_loss_weight * utterance,
            "loss_frame": frame,
            "loss_utterance": utterance,
        }

    def sum_over_ranks(self, x: torch.Tensor) -> torch.Tensor:
        """Sum a tensor over all ranks, in place; all ranks must call."""
        if self.world_size > 1:
            torch.distributed.all_reduce(x)
        return x

    def _begin_figures(self) -> None:
        self.figures = Figures(self.device)
        self.update_seconds = 0.0

    # ---- speech heard, files lost

    def _count_speech(self, batch: PretrainingBatch) -> None:
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


def _warn_of(skipped: list[BadUtterance]) -> None:
    for bad in skipped:
        logger.warning("Skipped %s (%s): %s", bad.id, bad.path, bad.reason)
