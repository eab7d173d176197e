"""Our pre-training step without a Brain around it: what the Brain calls."""

import torch

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.pretraining.losses import (
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.student import Student
from speechbrain_e2v.pretraining.teacher import EMATeacher

OPTIMIZER = {"lr": 7.5e-5, "betas": (0.9, 0.98), "eps": 1e-6}
WEIGHT_DECAY = 0.01
NOISE = 0.01


def build(encoder, decoder_channels=384, decoder_dropout=0.0):
    """Put a decoder and a teacher around an encoder.

    Arguments
    ---------
    encoder : Emotion2vecEncoder
    decoder_channels : int
    decoder_dropout : float

    Returns
    -------
    (Student, EMATeacher)
        In training mode; the teacher's weights differ from the student's.
    """
    sizes = encoder.config
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        decoder = ConvDecoder(
            sizes["embed_dim"],
            decoder_channels,
            groups=sizes["pos_conv_groups"],
        )
        student = Student(encoder, decoder, decoder_dropout)
        teacher = EMATeacher(student, top_k=sizes["depth"])
        for parameter in teacher.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    return student.train(), teacher


def loss_of(student, teacher, wav, layout, noise):
    """Frame loss plus utterance loss, as DistillationBrain weighs them.

    Arguments
    ---------
    student : Student
    teacher : EMATeacher
    wav : torch.Tensor, [B, S]
    layout : masking.MaskLayout
    noise : torch.Tensor, [B * K, M, D]

    Returns
    -------
    torch.Tensor, []
    """
    output = student(wav, None, layout, noise)
    targets = teacher(output.local)
    frames = frame_loss(
        output.prediction, masked_targets(targets.frames, layout)
    )
    rows = utterance_loss(
        utterance_prediction(output.tokens, output.visible),
        targets.utterance,
    )
    return frames.mean() + rows.mean()


def draw_noise(layout, width, device="cpu", seed=0):
    """Noise that the decoder sees at masked frames, [B * K, M, D]."""
    generator = torch.Generator(device).manual_seed(seed)
    return NOISE * torch.randn(
        *layout.masked.shape, width, generator=generator, device=device
    )


def optimizer_of(student, **options):
    """AdamW with the recipe's values."""
    return torch.optim.AdamW(
        student.parameters(), weight_decay=WEIGHT_DECAY, **OPTIMIZER, **options
    )
