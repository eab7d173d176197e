"""What the encoders have in common: front end, lengths, padding."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from speechbrain_e2v.lobes.frontend import ConvFeatureExtractor
from speechbrain_e2v.lobes.lengths import (
    Samples,
    frame_mask,
    frames_of,
    relative_to_samples,
)


class Context(Protocol):
    """What stands above the projected frames."""

    @property
    def num_states(self) -> int:
        """How many states it gives."""

    def frame_states(
        self,
        features: torch.Tensor,
        num_frames: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[torch.Tensor]:
        """Frames [B, T, D] of layer after layer, from projected frames."""


class WaveformEncoder(nn.Module):
    """Front end and projection, below the heir's context encoder.

    An utterance's features do not depend on what it is batched with.

    `arguments` are the ``locals()`` of the heir's ``__init__``: what it was
    called with, which `config` then holds.
    """

    context: Context

    def __init__(self, arguments: Mapping[str, Any]):
        super().__init__()
        self.config: dict[str, Any] = {
            name: value
            for name, value in arguments.items()
            if name not in ("self", "__class__")
        }
        for name in ("conv_kernels", "conv_strides"):
            self.config[name] = list(self.config[name])
        self.embed_dim: int = self.config["embed_dim"]
        channels = self.config["conv_channels"]
        self.frontend = ConvFeatureExtractor(
            channels, self.config["conv_kernels"], self.config["conv_strides"]
        )
        self.projection = nn.Sequential(
            nn.LayerNorm(channels, eps=1e-5),
            nn.Linear(channels, self.embed_dim),
        )

    @property
    def num_layers(self) -> int:
        """How many states there are: blocks, and what an heir puts before."""
        return self.context.num_states

    def num_frames(self, samples: Samples) -> Samples:
        """Count the frames of a waveform."""
        return frames_of(
            samples, self.config["conv_kernels"], self.config["conv_strides"]
        )

    def forward(
        self, wav: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode normalised waveforms.

        `wav` [B, S] is 16 kHz, normalised per utterance (`normalise_waveform`);
        `lengths` [B] is relative to S, SpeechBrain style. The output of the
        last block, [B, T, D], is 0 at padding. ValueError: the batch is too
        short for one frame.
        """
        for state in self.states(wav, lengths):
            last = state
        return last

    def hidden_states(
        self, wav: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Return the output of every block, [B, T, D] each, prenet first."""
        return list(self.states(wav, lengths))

    def states(
        self,
        wav: torch.Tensor,
        lengths: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[torch.Tensor]:
        """Yield the output of block after block, [B, T, D] each.

        Who needs only some of them keeps only those in memory, and who stops
        early saves the blocks behind. With a `window`, attention is
        approximate: each frame attends to this many frames on each side and to
        the extra tokens.
        """
        num_frames = None
        if lengths is not None:
            samples = relative_to_samples(lengths, wav.shape[1])
            num_frames = self.num_frames(samples)
        states = self.context.frame_states(
            self.local_features(wav), num_frames, window
        )
        del wav  # the blocks do not need it: let go of it where we are last
        for frames in states:
            if num_frames is None:
                yield frames
            else:
                real = frame_mask(num_frames, frames.shape[1])
                yield frames * real.unsqueeze(2)

    def local_features(self, wav: torch.Tensor) -> torch.Tensor:
        """Map normalised waveforms [B, S] to projected frames [B, T, D]."""
        if self.num_frames(wav.shape[1]) < 1:
            raise ValueError(
                f"wav has {wav.shape[1]} samples, too few for one frame: "
                "pad it with zeros to 400 samples (25 ms) or leave it out."
            )
        return self.projection(self.frontend(wav))
