"""The emotion2vec encoder: waveform in, frame features out."""

import inspect
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from speechbrain_e2v.lobes.context import ContextEncoder
from speechbrain_e2v.lobes.frontend import ConvFeatureExtractor
from speechbrain_e2v.lobes.lengths import (
    CONV_KERNELS,
    CONV_STRIDES,
    Samples,
    frame_mask,
    frames_of,
    relative_to_samples,
)


class Emotion2vecEncoder(nn.Module):
    """data2vec 2.0 audio encoder with emotion2vec's extra tokens.

    The defaults are emotion2vec base (93.17 M parameters); large has
    embed_dim 1024 and 16 heads. An utterance's features do not depend on what
    it is batched with. There are 4 + 8 blocks in the released model (the paper
    says 12); it has 10 extra (utterance) tokens, data2vec 2.0 has none.

    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4).eval()
    >>> wav = torch.randn(2, 16000)
    >>> encoder(wav, torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 48])
    """

    def __init__(
        self,
        embed_dim: int = 768,
        num_heads: int = 12,
        prenet_depth: int = 4,
        depth: int = 8,
        num_extra_tokens: int = 10,
        mlp_ratio: float = 4.0,
        conv_channels: int = 512,
        conv_kernels: Sequence[int] = CONV_KERNELS,
        conv_strides: Sequence[int] = CONV_STRIDES,
        pos_conv_width: int = 95,
        pos_conv_depth: int = 5,
        pos_conv_groups: int = 16,
        norm_eps: float = 1e-5,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.0,
        post_mlp_dropout: float = 0.1,
        prenet_dropout: float = 0.1,
        layerdrop: float = 0.05,
        prenet_layerdrop: float = 0.05,
    ):
        arguments = locals()
        super().__init__()
        names = list(inspect.signature(Emotion2vecEncoder).parameters)
        self.config = {name: arguments[name] for name in names}
        for name in ("conv_kernels", "conv_strides"):
            self.config[name] = list(self.config[name])
        self.embed_dim = embed_dim
        self.num_layers = prenet_depth + depth
        self.frontend = ConvFeatureExtractor(
            conv_channels, conv_kernels, conv_strides
        )
        self.projection = nn.Sequential(
            nn.LayerNorm(conv_channels, eps=1e-5),
            nn.Linear(conv_channels, embed_dim),
        )
        self.context = ContextEncoder(
            embed_dim,
            num_heads,
            prenet_depth,
            depth,
            num_extra_tokens,
            pos_conv_width=pos_conv_width,
            pos_conv_depth=pos_conv_depth,
            pos_conv_groups=pos_conv_groups,
            prenet_dropout=prenet_dropout,
            layerdrop=layerdrop,
            prenet_layerdrop=prenet_layerdrop,
            norm_eps=norm_eps,
            mlp_ratio=mlp_ratio,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
            post_mlp_dropout=post_mlp_dropout,
        )

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
        last block without tokens, [B, T, D], is 0 at padding. ValueError: the
        batch is too short for one frame.
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
        states = self.context(self._local(wav), num_frames, window)
        del wav  # the blocks do not need it: let go of it where we are last
        for state, _ in states:
            yield self._frames(state, num_frames)

    def _local(self, wav: torch.Tensor) -> torch.Tensor:
        if self.num_frames(wav.shape[1]) < 1:
            raise ValueError(
                f"wav has {wav.shape[1]} samples, too few for one frame: "
                "pad it with zeros to 400 samples (25 ms) or leave it out."
            )
        return self.projection(self.frontend(wav))

    def _frames(
        self, state: torch.Tensor, num_frames: torch.Tensor | None
    ) -> torch.Tensor:
        frames = state[:, self.context.num_extra_tokens :]
        if num_frames is None:
            return frames
        real = frame_mask(num_frames, frames.shape[1])
        return frames * real.unsqueeze(2)
