#!/usr/bin/env python3
"""One pre-training update: ours against the plain arrangement of its maths.

Student forward and backward, teacher, optimizer and EMA, without dropout, on
the same weights, waveforms, masks and noise, in turns in one process. Loss
and every gradient are compared first. In bf16 (autocast) ours is compared
with the plain arrangement in fp32.

> python benchmarks/pretraining_step.py small -o results.json
"""

import copy
from functools import partial

import our_pretraining
import plain_pretraining
import torch
from measurement import demand, main, ratio_row
from timing import alternate, ratio
from weights import NO_DROPOUT, TINY, random_encoder, random_speech

from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.pretraining.masking import (
    block_masks,
    clone_seeds,
    mask_layout,
)

CLONES = 8
DECAY = 0.999
MAX_ERROR = 1e-4
MAX_BF16_ERROR = 3e-2
SMALL = {"embed_dim": 256, "num_heads": 4, "prenet_depth": 1, "depth": 3}


class Case:
    """One batch, with our step and the plain one on it.

    Arguments
    ---------
    sizes : dict
        Of the encoder.
    utterances : int
    seconds : float
        Of each utterance.
    decoder_channels : int
    """

    def __init__(self, sizes, utterances, seconds, decoder_channels):
        encoder = random_encoder(**sizes, **NO_DROPOUT)
        built = our_pretraining.build(encoder, decoder_channels)
        self.ours, self.plain = built, copy.deepcopy(built)
        wav = [random_speech(seconds, seed) for seed in range(utterances)]
        self.wav = normalise_waveform(torch.stack(wav))
        frames = [encoder.num_frames(self.wav.shape[1])] * utterances
        names = [str(index) for index in range(utterances)]
        self.mask = block_masks(frames, clone_seeds(1, 0, names, CLONES))
        self.layout = mask_layout(self.mask)
        self.noise = our_pretraining.draw_noise(self.layout, encoder.embed_dim)
        self.optimizers = {
            name: our_pretraining.optimizer_of(pair[0])
            for name, pair in (("ours", self.ours), ("plain", self.plain))
        }

    def our_loss(self):
        """Return our loss."""
        return our_pretraining.loss_of(
            *self.ours, self.wav, self.layout, self.noise
        )

    def plain_loss(self):
        """Return the loss of the plain arrangement."""
        return plain_pretraining.loss_of(
            *self.plain, self.wav, self.mask, self.noise
        )

    def compare(self):
        """Return relative differences of loss and gradients, zero them."""
        ours, plain = self.our_loss(), self.plain_loss()
        ours.backward()
        plain.backward()
        errors = {"loss error": abs(1 - ours.item() / plain.item())}
        worst = 0.0
        for (name, own), theirs in zip(
            self.ours[0].named_parameters(),
            self.plain[0].parameters(),
            strict=True,
        ):
            demand(own.grad is not None, f"{name} has no gradient")
            scale = theirs.grad.abs().max().clamp(min=1e-4)
            error = (own.grad - theirs.grad).abs().max() / scale
            worst = max(worst, error.item())
        errors["gradient error"] = worst
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        return errors

    def our_step(self, bf16=False):
        """Make one whole update."""
        student, teacher = self.ours
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = self.our_loss()
        loss.backward()
        self.optimizers["ours"].step()
        self.optimizers["ours"].zero_grad()
        teacher.update(student, DECAY)
        return loss.item()

    def plain_step(self):
        """Make one whole update in the plain way."""
        student, teacher = self.plain
        loss = self.plain_loss()
        loss.backward()
        self.optimizers["plain"].step()
        self.optimizers["plain"].zero_grad()
        plain_pretraining.follow(teacher, student, DECAY)
        return loss.item()


def compare(key, case, rounds):
    """Check that both compute the same, then time them.

    Arguments
    ---------
    key : str
        Of the goals, without precision.
    case : Case
    rounds : int

    Yields
    ------
    Row
        In fp32 and in bf16.
    """
    errors = case.compare()
    demand(max(errors.values()) <= MAX_ERROR, f"{key}: {errors}")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        low = case.our_loss().item()
    with torch.no_grad():
        bf16_error = abs(1 - low / case.our_loss().item())
    demand(bf16_error <= MAX_BF16_ERROR, f"{key}: bf16 loss {bf16_error:.2e}")
    seconds = alternate(
        {
            "peer": case.plain_step,
            "fp32": case.our_step,
            "bf16": partial(case.our_step, bf16=True),
        },
        rounds,
        warm_up=False,
    )
    yield ratio_row(f"{key}_fp32", ratio(seconds, "fp32"), errors)
    checks = {"loss error": bf16_error}
    yield ratio_row(f"{key}_bf16", ratio(seconds, "bf16"), checks)


def part(key, sizes, utterances, arguments):
    """Compare on clips of 10 s."""
    if arguments.tiny:
        case = Case(TINY, 2, 1.0, 24)
    else:
        case = Case(sizes, utterances, 10.0, 384)
    rounds = arguments.rounds or (1 if arguments.tiny else 2)
    yield from compare(key, case, rounds)


PARTS = {
    "small": partial(part, "step_small", SMALL, 4),
    "base": partial(part, "step_base", {}, 1),
}

if __name__ == "__main__":
    main(__doc__, PARTS)
