"""From relative lengths to samples to frames: the only place that does it.

SpeechBrain describes padding by relative lengths in [0, 1]. Truncating
``length * time`` to an integer loses a frame in a third of random clips, so
lengths become samples by rounding, and samples become frames by the
arithmetic of unpadded convolutions.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch

Samples = TypeVar("Samples", int, torch.Tensor)

SAMPLE_RATE = 16000
CONV_KERNELS = (10, 3, 3, 3, 3, 2, 2)
CONV_STRIDES = (5, 2, 2, 2, 2, 2, 2)
MIN_SAMPLES = 400
"""Receptive field of one frame, samples: shorter clips have no frame."""
HOP = 320
"""Distance of two frames, samples."""


def relative_to_samples(
    lengths: torch.Tensor, num_samples: int
) -> torch.Tensor:
    """Turn lengths relative to the padded one into samples, [B], long.

    >>> relative_to_samples(torch.tensor([1.0, 0.3126875]), 16000)
    tensor([16000,  5003])
    """
    # float64: a float32 product is off by one sample from 2**24 samples on.
    return torch.round(lengths.double() * num_samples).long()


def frames_of(
    samples: Samples,
    kernels: Sequence[int] = CONV_KERNELS,
    strides: Sequence[int] = CONV_STRIDES,
) -> Samples:
    """Count the frames that unpadded convolutions make of samples.

    >>> [frames_of(n) for n in (399, 400, 719, 720, 16000, 320000)]
    [0, 1, 1, 2, 49, 999]
    """
    frames = samples
    for kernel, stride in zip(kernels, strides, strict=True):
        # `//` rounds down for integers and tensors alike; once a layer has
        # too little input, every later one is below zero too.
        frames = (frames - kernel) // stride + 1
    if isinstance(frames, torch.Tensor):
        return frames.clamp(min=0)
    return max(frames, 0)


def receptive_field(
    kernels: Sequence[int] = CONV_KERNELS,
    strides: Sequence[int] = CONV_STRIDES,
) -> int:
    """Count the samples that one frame sees; a shorter waveform has no frame.

    >>> receptive_field()
    400
    """
    samples = 1
    for kernel, stride in zip(
        reversed(kernels), reversed(strides), strict=True
    ):
        samples = (samples - 1) * stride + kernel
    return samples


def frame_mask(num_frames: torch.Tensor, max_frames: int) -> torch.Tensor:
    """Mark the real frames [B] of a padded batch: [B, T], False at padding.

    >>> frame_mask(torch.tensor([2, 3]), 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    index = torch.arange(max_frames, device=num_frames.device)
    return index[None, :] < num_frames[:, None]
