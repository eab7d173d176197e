"""Waveform front end: normalisation and seven convolutions, kept as [B, T, C].

Each convolution is one matrix product over windows of frames, so no layer
transposes its activations (emotion2vec paper section 3.1 swaps the words
"kernel" and "stride"; the values here are those of the released code).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.lobes.chunking import by_chunks, time_chunks
from speechbrain_e2v.lobes.lengths import (
    CONV_KERNELS,
    CONV_STRIDES,
    frames_of,
    receptive_field,
)

# The first layer makes 64 times as many frames: 16 and 2,048 MiB of them.
FRAMES_ON_CPU = 128
FRAMES_ON_GPU = 2**14


def normalise_waveform(
    wav: torch.Tensor,
    num_samples: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Give every utterance zero mean and unit variance over its real samples.

    From [B, S] to [B, S], whose padding is zero; `num_samples` [B] are the real
    ones (None: all). `eps` is added to the (biased) variance.

    >>> wav = torch.tensor([[1.0, 3.0, 9.0]])
    >>> normalise_waveform(wav, torch.tensor([2])).round(decimals=3).tolist()
    [[-1.0, 1.0, 0.0]]
    """
    if num_samples is None:
        return F.layer_norm(wav, wav.shape[-1:], eps=eps)
    index = torch.arange(wav.shape[1], device=wav.device)
    real = index[None, :] < num_samples[:, None]
    count = num_samples[:, None].to(wav.dtype)
    mean = (wav * real).sum(1, keepdim=True) / count
    centred = (wav - mean) * real
    variance = centred.square().sum(1, keepdim=True) / count
    return centred * torch.rsqrt(variance + eps)


class ConvLayer(nn.Module):
    """Unpadded convolution over time, LayerNorm over channels, GELU.

    >>> ConvLayer(4, 8, kernel=3, stride=2)(torch.randn(2, 11, 4)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int
    ):
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels, kernel)
        )
        nn.init.kaiming_normal_(self.weight)
        self.norm = nn.LayerNorm(out_channels, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, T, C_in] to [B, (T - kernel) // stride + 1, C_out]."""
        weight = self.weight.permute(0, 2, 1).flatten(1)  # [C_out, k * C_in]
        x = self.norm(F.linear(self._windows(x), weight))
        return F.gelu(x)

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        frames = (x.shape[1] - self.kernel) // self.stride + 1
        span = frames * self.stride
        if x.shape[2] == 1:
            return x.squeeze(2).unfold(1, self.kernel, self.stride)
        if self.kernel == self.stride:  # windows do not overlap: only a view
            return x[:, :span].reshape(len(x), frames, -1)
        last = span - self.stride + 1
        shifted = [
            x[:, offset : offset + last : self.stride]
            for offset in range(self.kernel)
        ]
        return torch.cat(shifted, dim=2)


class ConvFeatureExtractor(nn.Module):
    """Seven convolutions: one frame of 512 channels each 20 ms (16 kHz).

    Padding behind an utterance never reaches one of its frames.

    >>> ConvFeatureExtractor(channels=16)(torch.randn(2, 16000)).shape
    torch.Size([2, 49, 16])
    """

    def __init__(
        self,
        channels: int = 512,
        kernels: Sequence[int] = CONV_KERNELS,
        strides: Sequence[int] = CONV_STRIDES,
    ):
        super().__init__()
        self.kernels, self.strides = list(kernels), list(strides)
        widths = [1] + [channels] * len(kernels)
        self.layers = nn.ModuleList(
            ConvLayer(widths[i], widths[i + 1], kernel, stride)
            for i, (kernel, stride) in enumerate(
                zip(kernels, strides, strict=True)
            )
        )

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        """Map a normalised waveform [B, S] to frames [B, T, C].

        Without gradients it is computed in chunks of time. Neighbouring
        chunks share the samples that both see: nothing is approximated.
        """
        frames = frames_of(wav.shape[1], self.kernels, self.strides)
        hop = math.prod(self.strides)
        seen = receptive_field(self.kernels, self.strides)
        chunks = time_chunks(
            len(wav), frames, wav.device, FRAMES_ON_CPU, FRAMES_ON_GPU
        )
        if len(chunks) == 1:
            return self._convolve(wav)
        return by_chunks(
            lambda start, stop: self._convolve(
                wav[:, hop * start : hop * (stop - 1) + seen]
            ),
            chunks,
        )

    def _convolve(self, wav: torch.Tensor) -> torch.Tensor:
        x = wav.unsqueeze(2)
        for layer in self.layers:
            x = layer(x)
        return x
