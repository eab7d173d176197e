"""Online distillation: a student predicts what its own average computes."""

import functools
from typing import Any

import speechbrain as sb
import torch

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE, frame_mask
from speechbrain_e2v.pretraining.data import PretrainingBatch
from speechbrain_e2v.pretraining.health import (
    teacher_distance,
    utterance_spread,
)
from speechbrain_e2v.pretraining.initialise import initialise
from speechbrain_e2v.pretraining.losses import (
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.masking import (
    MaskLayout,
    clone_seeds,
    mask_layout,
)
from speechbrain_e2v.pretraining.pretraining_brain import (
    VALIDATION,
    PretrainingBrain,
)
from speechbrain_e2v.pretraining.student import StudentOutput
from speechbrain_e2v.pretraining.teacher import Targets

PLACEHOLDER_SECONDS = 1

Predictions = tuple[StudentOutput, Targets, MaskLayout]


class DistillationBrain(PretrainingBrain):
    """emotion2vec pre-training (paper section 3, released behaviour).

    `hparams` holds, beside what PretrainingBrain needs: `teacher`,
    `draw_masks` (frames, seeds -> masks), `clones`, `noise_std`,
    `frame_loss_weight`, `utterance_loss`, `utterance_loss_weight`,
    `utterance_loss_reduction` ("mean": the paper; "sum": the released code),
    `frontend_lr_factor` and `ema_schedule` (update -> decay).
    """

    KEYS = (
        "initialise_from",
        "decoder",
        "teacher",
        "ema_schedule",
        "clones",
        "draw_masks",
        "noise_std",
        "frame_loss_weight",
        "utterance_loss",
        "utterance_loss_weight",
        "utterance_loss_reduction",
        "frontend_lr_factor",
    )
    NUMBERS = {
        "clones": (1, True),
        "noise_std": (0.0, False),
        "frame_loss_weight": (0.0, False),
        "utterance_loss_weight": (0.0, False),
        "frontend_lr_factor": (0.0, False),
    }
    SCHEDULES = ("lr_schedule", "ema_schedule")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        reduction = self.hparams.utterance_loss_reduction
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"utterance_loss_reduction is {reduction!r}: choose 'mean' "
                "(paper) or 'sum' (released code)."
            )
        self.ema_decay = 0.0

    def initial_weights(self) -> str:
        """Start student and teacher as `initialise` says."""
        return initialise(
            self.hparams.student,
            self.hparams.teacher,
            self.hparams.initialise_from,
        )

    def loss_weights(self) -> dict[str, float]:
        """Those of frame and utterance loss."""
        return {
            "frame": self.hparams.frame_loss_weight,
            "utterance": self.hparams.utterance_loss_weight,
        }

    def extra_figures(self) -> dict[str, float]:
        """How fast the teacher follows, and how far it is away."""
        hparams = self.hparams
        return {
            "tau": self.ema_decay,
            "teacher_distance": teacher_distance(
                hparams.student.encoder.context.parameters(),
                hparams.teacher.context.parameters(),
            ),
        }

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

    def evaluate_batch(self, batch: Any, stage: sb.Stage) -> torch.Tensor:
        """Loss of a batch that nothing learns from, the same at each call."""
        with self.hparams.teacher.utterance_target.still():
            return super().evaluate_batch(batch, stage)

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
        self.count_speech(batch, training)
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
        if stage != sb.Stage.TRAIN or self.is_logged:
            losses = {"frame": frame_mean, "utterance": utterance}
            self.figures.add(losses, count)
            features = _features(predictions, target)
            if stage != sb.Stage.TRAIN:
                self.figures.keep_rows(features)
            else:
                more = functools.partial(_more_figures, predictions)
                self.figures.keep_batch(features, more)
        self.count_targets(count)
        return self.weighted(loss, count)

    def on_optimizer_step(self) -> None:
        """Let the teacher follow, then log."""
        self.ema_decay = self.hparams.ema_schedule(self.optimizer_step)
        self.hparams.teacher.update(self.hparams.student, self.ema_decay)
        super().on_optimizer_step()


def _features(
    predictions: Predictions, target: torch.Tensor
) -> dict[str, torch.Tensor]:
    output, _, layout = predictions
    conv_real = None
    if output.num_frames is not None:
        conv_real = frame_mask(output.num_frames, output.conv.shape[1])
    return {
        "conv": _rows(output.conv, conv_real),
        "encoder": _rows(output.visible, layout.visible_real),
        "prediction": _rows(output.prediction, layout.masked_real),
        "target": _rows(target, layout.masked_real),
    }


def _rows(x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """[B, T, D] -> [N, D], without padding."""
    x = x.detach()
    return x.flatten(0, 1) if real is None else x[real]


def _more_figures(predictions: Predictions) -> dict[str, float]:
    _, targets, layout = predictions
    return {
        "masked_share": layout.masked.shape[1] / layout.frames,
        "spread_utterance_target": utterance_spread(targets.utterance),
    }
