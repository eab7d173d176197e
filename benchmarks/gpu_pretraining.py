#!/usr/bin/env python3
"""Pre-training on a GPU: base, bf16, 62.5 s of audio an update, 8 clones.

Prints step time, hours of speech an hour, the share of the bf16 matrix
products that the card was measured to do, and memory. Masks are drawn on the
CPU, in the step, as in training. Exit status 2 without a CUDA device.

> python benchmarks/gpu_pretraining.py --compile
> python benchmarks/gpu_pretraining.py --device cpu --tiny
"""

import argparse
import time

import our_pretraining
import torch
from machine import matmul_gflops
from torch.utils.flop_counter import FlopCounterMode
from weights import TINY, random_encoder, random_speech

from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.pretraining.masking import (
    block_masks,
    clone_seeds,
    mask_layout,
)

UTTERANCES, SECONDS, CLONES = 5, 12.5, 8
DECAY = 0.999


class Training:
    """Model, optimizer and one batch on a device."""

    def __init__(self, device, tiny, compiled):
        encoder = random_encoder(**(TINY if tiny else {}))
        channels = 24 if tiny else 384
        student, self.teacher = our_pretraining.build(encoder, channels, 0.1)
        self.student, self.teacher = student.to(device), self.teacher.to(device)
        self.optimizer = our_pretraining.optimizer_of(self.student, fused=True)
        self.run = torch.compile(self.student) if compiled else self.student
        seconds = 1.0 if tiny else SECONDS
        clips = [random_speech(seconds, seed) for seed in range(UTTERANCES)]
        self.wav = normalise_waveform(torch.stack(clips)).to(device)
        self.frames = encoder.num_frames(self.wav.shape[1])
        self.device, self.updates = device, 0
        self.audio = seconds * UTTERANCES

    def step(self):
        """Make one update; nothing is read back from the device."""
        names = [str(index) for index in range(UTTERANCES)]
        seeds = clone_seeds(1, self.updates, names, CLONES)
        mask = block_masks([self.frames] * UTTERANCES, seeds)
        layout = mask_layout(mask).to(self.device)
        width = self.student.encoder.embed_dim
        noise = our_pretraining.draw_noise(layout, width, self.device)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            loss = our_pretraining.loss_of(
                self.run, self.teacher, self.wav, layout, noise
            )
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.teacher.update(self.student, DECAY)
        self.updates += 1
        return loss


def measure(training, updates):
    """Return seconds an update and its FLOPs."""
    with FlopCounterMode(display=False) as counter:
        first = training.step().item()
    for _ in range(3):
        training.step()
    synchronize(training.device)
    begin = time.perf_counter()
    for _ in range(updates):
        loss = training.step()
    synchronize(training.device)
    seconds = (time.perf_counter() - begin) / updates
    if not torch.isfinite(loss):
        raise SystemExit(f"the loss went from {first} to {loss.item()}")
    return seconds, counter.get_total_flops()


def synchronize(device):
    """Wait for a device that computes on its own."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main(argv=None):
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    on_gpu = torch.device(arguments.device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        print("no CUDA device: nothing was measured")
        return 2
    training = Training(arguments.device, arguments.tiny, arguments.compile)
    updates = 2 if arguments.tiny else arguments.updates
    seconds, flops = measure(training, updates)
    side = 8192 if on_gpu else 512
    peak = matmul_gflops(torch.bfloat16, arguments.device, side) * 1e9
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    print(f"{name}, torch {torch.__version__}")
    print(f"update of {training.audio:g} s: {1000 * seconds:.1f} ms")
    print(f"hours of speech an hour: {training.audio / seconds:.0f}")
    print(f"counted: {flops / 1e12:.3g} TFLOP an update")
    print(f"share of the measured matmul peak: {flops / seconds / peak:.1%}")
    if on_gpu:
        print(f"memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
