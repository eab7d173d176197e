"""EMA teacher: a slowly following copy of the student's context encoder."""

import copy
from typing import NamedTuple

import torch
from torch import nn

from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.pretraining.data2vec1_student import Data2vec1Student
from speechbrain_e2v.pretraining.student import Student
from speechbrain_e2v.pretraining.targets import UtteranceTarget, frame_targets

AnyStudent = Student | Data2vec1Student


class Targets(NamedTuple):
    """What the student shall predict."""

    frames: torch.Tensor
    """[B, T, D], float32."""
    utterance: torch.Tensor
    """[B, D], float32."""


class EMATeacher(nn.Module):
    """Exponential moving average of the context encoder.

    It has no waveform front end: it reads the student's projected local
    features, unmasked and detached (released behaviour). It never trains.
    `top_k` is how many of the last main blocks are averaged.

    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> teacher = EMATeacher(Student(encoder, nn.Identity()), top_k=2)
    >>> targets = teacher(torch.randn(2, 49, 48))
    >>> targets.frames.shape, targets.utterance.shape
    (torch.Size([2, 49, 48]), torch.Size([2, 48]))
    """

    def __init__(
        self,
        student: AnyStudent,
        top_k: int = 8,
        utterance_target: str = "released",
    ):
        super().__init__()
        encoder = student.encoder
        depth = encoder.config["depth"]
        if not 1 <= top_k <= depth:
            raise ValueError(
                f"top_k_layers is {top_k}, but the encoder has {depth} main "
                f"blocks: choose 1 to {depth}."
            )
        self.top_k = top_k
        self.context = copy.deepcopy(encoder.context).requires_grad_(False)
        self.utterance_target = UtteranceTarget(
            encoder.embed_dim, utterance_target
        )
        self.eval()

    def train(self, mode: bool = True) -> "EMATeacher":
        """Stay in evaluation mode: `brain.modules.train()` reaches us too."""
        return super().train(False)

    @torch.no_grad()
    def forward(
        self, local: torch.Tensor, num_frames: torch.Tensor | None = None
    ) -> Targets:
        """Targets of whole, unmasked utterances.

        `local` [B, T, D] are the student's projected local features,
        `num_frames` [B] the real frames where rows are padded.
        """
        first = self.context.num_extra_tokens
        skipped = len(self.context.blocks) - self.top_k
        outputs, mlps = [], []
        for layer, state in enumerate(self.context(local.detach(), num_frames)):
            if layer >= skipped:
                outputs.append(state[0][:, first:])
                mlps.append(state[1][:, first:])
        real = None
        if num_frames is not None:
            real = frame_mask(num_frames, local.shape[1]).unsqueeze(2)
        frames = frame_targets(mlps, real)
        utterance = self.utterance_target(outputs, mlps, frames, num_frames)
        return Targets(frames, utterance)

    @torch.no_grad()
    def update(self, student: AnyStudent, decay: float) -> None:
        """Move towards the student: t <- decay * t + (1 - decay) * s.

        `student` is the raw module, not its DDP wrapper.
        """
        torch._foreach_lerp_(
            list(self.context.parameters()),
            [p.detach() for p in student.encoder.context.parameters()],
            1.0 - decay,
        )


class Data2vec1Teacher(EMATeacher):
    """The teacher of data2vec v1: its positional convolution is the student's.

    It is copied after every update, all else is averaged (released
    behaviour, `ema_layers_only`).

    >>> from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
    >>> student = Data2vec1Student(
    ...     Data2vec1Encoder(48, 4, 2, pos_conv_groups=4), nn.Linear(48, 48))
    >>> Data2vec1Teacher(student, top_k=2)(torch.randn(1, 9, 48)).frames.shape
    torch.Size([1, 9, 48])
    """

    @torch.no_grad()
    def update(self, student: AnyStudent, decay: float) -> None:
        """Average as EMATeacher does, then copy the positional convolution."""
        super().update(student, decay)
        torch._foreach_copy_(
            list(self.context.positional.parameters()),
            list(student.encoder.context.positional.parameters()),
        )
