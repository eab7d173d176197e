"""Vesper's pre-training: masked frames out of a frozen teacher's layers."""

import functools
from typing import NamedTuple

import speechbrain as sb
import torch
from torch.nn.functional import pad

from speechbrain_e2v.lobes.batching import WaveformBatch, waveform_batch
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE, frame_mask
from speechbrain_e2v.pretraining.data import PretrainingBatch, UtteranceStarts
from speechbrain_e2v.pretraining.pretraining_brain import (
    VALIDATION,
    PretrainingBrain,
)
from speechbrain_e2v.pretraining.vesper.initialise import initialise_vesper
from speechbrain_e2v.pretraining.vesper.losses import vesper_losses
from speechbrain_e2v.pretraining.vesper.masks import Permutations, frame_rms
from speechbrain_e2v.pretraining.vesper.student import VesperOutput
from speechbrain_e2v.pretraining.vesper.teacher import FrozenTeacher
from speechbrain_e2v.published.load import load_pretrained

PLACEHOLDER = "placeholder"


class Predictions(NamedTuple):
    """What a forward gives, and what it is compared with."""

    output: VesperOutput
    low_target: torch.Tensor
    """[B, T, D]."""
    high_target: torch.Tensor
    """[B, T, D]."""
    small: torch.Tensor
    """[B, T], True where hidden from the lower blocks."""
    large: torch.Tensor
    """[B, T], True where hidden from the upper blocks."""
    real: torch.Tensor
    """[B, T], False at padding."""


class VesperBrain(PretrainingBrain):
    """Vesper (Chen et al., 2023): hierarchical and cross-layer targets.

    `hparams` holds, beside what PretrainingBrain needs: `teacher` (anything
    that `load_pretrained` accepts), `teacher_layers`, `target_cache` (a folder
    or None), `crop_seconds` (of the student; the teacher hears `max_seconds`),
    `initialise_from` and `init_style`, `masks` (a SpanMasks),
    `loss_weight_low`, `_high` and `_cross`, and `reference_quirks`: waveforms
    are normalised together with their padding, whose frames count in the
    cross-layer loss, and real frames are counted as the released code does,
    one too many in places.

    An update's losses are means over its micro-batches, weighted by frames.
    """

    KEYS = (
        "teacher",
        "teacher_layers",
        "target_cache",
        "crop_seconds",
        "init_style",
        "masks",
        "loss_weight_low",
        "loss_weight_high",
        "loss_weight_cross",
        "reference_quirks",
    )
    NUMBERS = {
        "crop_seconds": (0.2, False),
        "loss_weight_low": (0.0, False),
        "loss_weight_high": (0.0, False),
        "loss_weight_cross": (0.0, False),
    }
    Dataset = UtteranceStarts

    def __init__(self, *args: object, **kwargs: object):
        super().__init__(*args, **kwargs)
        hparams = self.hparams
        encoder, _ = load_pretrained(hparams.teacher)
        student = hparams.student
        if student.target_dim != encoder.embed_dim:
            raise ValueError(
                f"teacher_dim is {student.target_dim}, but {hparams.teacher} "
                f"is {encoder.embed_dim} wide: --teacher_dim "
                f"{encoder.embed_dim}"
            )
        for key in ("conv_kernels", "conv_strides"):
            if encoder.config[key] != student.encoder.config[key]:
                raise ValueError(
                    f"{hparams.teacher} has {key} {encoder.config[key]}: its "
                    "frames are not the student's"
                )
        self.teacher = FrozenTeacher(
            encoder, hparams.teacher_layers, self.device, hparams.target_cache
        )

    def initial_weights(self) -> str:
        """Start the student as `initialise_vesper` says."""
        return initialise_vesper(
            self.hparams.student,
            self.hparams.initialise_from,
            self.hparams.init_style,
        )

    def loss_weights(self) -> dict[str, float]:
        """Those of the three losses."""
        return {
            name: getattr(self.hparams, f"loss_weight_{name}")
            for name in ("low", "high", "cross")
        }

    def compute_forward(
        self, batch: PretrainingBatch, stage: sb.Stage
    ) -> Predictions:
        """Run student and teacher on one batch.

        It comes on the CPU, waveforms as they are in the files: masks are made
        there.
        """
        wav, ids, num_samples = batch.wav, batch.ids, batch.num_samples
        if batch.is_empty:
            wav, ids = torch.zeros(1, SAMPLE_RATE), [PLACEHOLDER]
            num_samples = torch.tensor([SAMPLE_RATE])
        whole = [
            row[:count]
            for row, count in zip(wav, num_samples.tolist(), strict=True)
        ]
        crop = round(self.hparams.crop_seconds * SAMPLE_RATE)
        heard = [row[:crop] for row in whole]
        encoder = self.hparams.student.encoder
        if self.hparams.reference_quirks:
            student_batch, num_frames = self._reference_batch(heard, crop)
        else:
            student_batch = waveform_batch(heard)
            num_frames = encoder.num_frames(student_batch.samples)
        training = stage == sb.Stage.TRAIN
        update = self.optimizer_step if training else VALIDATION
        small, large = (
            mask.to(self.device)
            for mask in self.hparams.masks(
                frame_rms(student_batch.wav),
                num_frames.tolist(),
                [Permutations(self.seed, update, name) for name in ids],
            )
        )
        frames = small.shape[1]
        num_frames = num_frames.to(self.device)
        real = frame_mask(num_frames, frames)
        output = self.modules["student"](
            student_batch.wav.to(self.device), num_frames, small, large
        )
        low_target, high_target = self.teacher(whole, frames)
        self.count_speech(batch, training)
        return Predictions(output, low_target, high_target, small, large, real)

    def _reference_batch(
        self, waveforms: list[torch.Tensor], crop: int
    ) -> tuple[WaveformBatch, torch.Tensor]:
        """Padded to the crop, then normalised; frames of equal chunks."""
        samples = torch.tensor([len(wav) for wav in waveforms])
        wav = torch.stack([pad(x, (0, crop - len(x))) for x in waveforms])
        frames = self.hparams.student.encoder.num_frames(crop)
        chunk = crop // frames
        counts = -(-samples // chunk)
        return WaveformBatch(normalise_waveform(wav), samples), counts.clamp(
            max=frames
        )

    def compute_objectives(
        self,
        predictions: Predictions,
        batch: PretrainingBatch,
        stage: sb.Stage,
    ) -> torch.Tensor:
        """Weigh the three losses."""
        output, low, high, small, large, real = predictions
        counted = None if self.hparams.reference_quirks else real
        losses = vesper_losses(output, low, high, small, large, counted)
        weights = self.loss_weights()
        loss = torch.stack(
            [weights[name] * value for name, value in losses.items()]
        ).sum()
        count = real.sum()
        if batch.is_empty:
            count = torch.zeros_like(count)
        if stage != sb.Stage.TRAIN or self.is_logged:
            self.figures.add(losses, count)
            features = _features(predictions)
            if stage != sb.Stage.TRAIN:
                self.figures.keep_rows(features)
            else:
                more = functools.partial(_shares, small, large, real)
                self.figures.keep_batch(features, more)
        self.count_targets(count)
        return self.weighted(loss, count)


def _features(predictions: Predictions) -> dict[str, torch.Tensor]:
    """Real frames of the middle and the end; predictions and targets."""
    output, low, high, small, large, real = predictions
    return {
        "middle": output.middle.detach()[real],
        "encoder": output.last.detach()[real],
        "prediction": output.low.detach(),
        "prediction_high": output.high.detach(),
        "target": low[small],
        "target_high": high[large],
    }


def _shares(
    small: torch.Tensor, large: torch.Tensor, real: torch.Tensor
) -> dict[str, float]:
    frames = real.sum()
    return {
        "masked_share": (small.sum() / frames).item(),
        "masked_share_large": (large.sum() / frames).item(),
    }
