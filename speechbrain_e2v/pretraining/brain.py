"""Online distillation: a student predicts what its own average computes."""

import speechbrain as sb
import torch

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.pretraining.losses import (
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.masking import clone_seeds, mask_layout
from speechbrain_e2v.training.brain import E2VBrain

VALIDATION = -1
"""Takes the update's place in mask seeds, so that validation repeats them."""
PLACEHOLDER_SECONDS = 1


class DistillationBrain(E2VBrain):
    """emotion2vec pre-training (paper section 3, released behaviour).

    `hparams` holds, beside what E2VBrain needs: `student`, `teacher`,
    `draw_masks` (frames, seeds -> masks), `clones`, `noise_std`,
    `frame_loss_weight`, `utterance_loss`, `utterance_loss_weight`,
    `utterance_loss_reduction` ("mean": the paper; "sum": the released code),
    `frontend_lr_factor`,
    `ema_schedule` (update -> decay), `log_interval` and `max_bad_share`.

    Arguments
    ---------
    monitor : TrainingMonitor, optional
        Told about every update that is to be logged.
    **brain
        Arguments of E2VBrain.
    """

    def __init__(self, monitor=None, **brain):
        super().__init__(**brain)
        reduction = self.hparams.utterance_loss_reduction
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"utterance_loss_reduction is {reduction!r}: choose 'mean' "
                "(paper) or 'sum' (released code)."
            )
        self.monitor = monitor
        self.last = None
        self._read = self._bad = 0
        self._start_update()

    # ---- a run

    def fit(self, epoch_counter, train_set, *args, **kwargs):
        """Train; see E2VBrain.fit. `train_set` is a loader."""
        self.utterances = len(train_set.dataset)
        super().fit(epoch_counter, train_set, *args, **kwargs)

    def on_fit_start(self):
        """Resume, then start watching from there."""
        super().on_fit_start()
        if self.monitor is not None:
            self.monitor.start(self.optimizer_step)

    def parameter_groups(self):
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

    # ---- one micro-batch

    def compute_forward(self, batch, stage):
        """Run student and teacher on one batch.

        Arguments
        ---------
        batch : PretrainingBatch
            On the CPU: frame counts and masks are made there, so that the
            device is never waited for.
        stage : speechbrain.Stage

        Returns
        -------
        (StudentOutput, Targets, MaskLayout)
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
        output = self.modules.student(wav, lengths, layout, noise)
        targets = self.modules.teacher(output.local, output.num_frames)
        if training:
            self._count_speech(batch)
        return output, targets, layout

    def compute_objectives(self, predictions, batch, stage):
        """Weigh frame and utterance loss; targets are masked frames.

        Returns
        -------
        torch.Tensor, []
        """
        output, targets, layout = predictions
        hparams = self.hparams
        target = masked_targets(targets.frames, layout)
        frames = frame_loss(output.prediction, target, layout.masked_real)
        if layout.masked_real is None:
            count = frames.numel()
        else:
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
        if stage == sb.Stage.TRAIN:
            self._keep_for_monitor(predictions, target)
        if batch.is_empty:
            count = 0
        if self.is_logged:
            losses = torch.stack([frame_mean, utterance]).detach()
            self._losses += count * losses
            self._loss_targets += count
        self.count_targets(count)
        return self.weighted(loss, count)

    # ---- one update

    def on_optimizer_step(self):
        """Let the teacher follow, log, watch for collapse."""
        update = self.optimizer_step
        self.ema_decay = self.hparams.ema_schedule(update)
        self.hparams.teacher.update(self.hparams.student, self.ema_decay)
        if self.monitor is not None:
            self.monitor.on_update(self)
        self._start_update()

    def _start_update(self):
        self.last = None
        self.update_seconds = 0.0
        self._losses = torch.zeros(2, device=self.device)
        self._loss_targets = torch.zeros((), device=self.device)

    @property
    def is_logged(self):
        """Whether the update in progress will be logged."""
        return (self.optimizer_step + 1) % self.hparams.log_interval == 0

    def mean_losses(self):
        """Return frame and utterance loss of a logged update.

        Means over all micro-batches and ranks, weighted by targets as in the
        update itself. All ranks must call.
        """
        both = torch.cat([self._losses, self._loss_targets[None]])
        frame, utterance, targets = self.sum_over_ranks(both).tolist()
        return frame / targets, utterance / targets

    def sum_over_ranks(self, x):
        """Sum a tensor over all ranks, in place; all ranks must call."""
        if self.world_size > 1:
            torch.distributed.all_reduce(x)
        return x

    def _keep_for_monitor(self, predictions, target):
        if self.monitor is None or not self.is_logged:
            return
        output, targets, layout = predictions
        self.last = {
            "conv": output.conv.detach(),
            "encoder": output.visible.detach(),
            "prediction": output.prediction.detach(),
            "target": target,
            "utterance_target": targets.utterance,
            "masked_share": layout.masked.shape[1] / layout.frames,
        }

    # ---- speech heard, files lost

    def _count_speech(self, batch):
        self.update_seconds += batch.num_samples.sum().item() / SAMPLE_RATE
        self._read += len(batch.ids) + len(batch.skipped)
        self._bad += len(batch.skipped)
        for bad in batch.skipped:
            sb.utils.logger.get_logger(__name__).warning(
                "Skipped %s (%s): %s", bad.id, bad.path, bad.reason
            )
        limit = self.hparams.max_bad_share
        if self._bad > limit * max(self._read, self.utterances):
            raise RuntimeError(
                f"{self._bad} of {self._read} files could not be read since "
                f"the start of this run; max_bad_share is {limit}. Mend the "
                "files named in the log or leave them out of the manifest."
            )

    @property
    def skipped_files(self):
        """How many files could not be read since this process started."""
        return self._bad
