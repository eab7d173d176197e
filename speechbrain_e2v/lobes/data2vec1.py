"""data2vec v1 audio encoder: waveform in, frame features out."""

import inspect
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from speechbrain_e2v.lobes.alibi import AttentionBias
from speechbrain_e2v.lobes.frontend import ConvFeatureExtractor
from speechbrain_e2v.lobes.lengths import (
    CONV_KERNELS,
    CONV_STRIDES,
    Samples,
    frame_mask,
    frames_of,
    relative_to_samples,
)
from speechbrain_e2v.lobes.positional import RelativePositionalConv
from speechbrain_e2v.lobes.transformer import Block


class Data2vec1Encoder(nn.Module):
    """The Transformer of data2vec v1 (Baevski et al., 2022), released sizes.

    No ALiBi, no extra tokens, no prenet: positions are convolved, added and
    normalised, then come post-norm blocks. The defaults are base (93.16 M
    parameters). An utterance's features do not depend on what it is batched
    with; the released code lets padding into the positional convolution.

    >>> encoder = Data2vec1Encoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 48])
    """

    def __init__(
        self,
        embed_dim: int = 768,
        num_heads: int = 12,
        depth: int = 12,
        mlp_ratio: float = 4.0,
        conv_channels: int = 512,
        conv_kernels: Sequence[int] = CONV_KERNELS,
        conv_strides: Sequence[int] = CONV_STRIDES,
        pos_conv_width: int = 95,
        pos_conv_depth: int = 5,
        pos_conv_groups: int = 16,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.0,
        layerdrop: float = 0.05,
    ) -> None:
        arguments = locals()
        super().__init__()
        names = list(inspect.signature(Data2vec1Encoder).parameters)
        self.config = {name: arguments[name] for name in names}
        for name in ("conv_kernels", "conv_strides"):
            self.config[name] = list(self.config[name])
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_layers = depth
        self.frontend = ConvFeatureExtractor(
            conv_channels, conv_kernels, conv_strides
        )
        self.projection = nn.Sequential(
            nn.LayerNorm(conv_channels, eps=1e-5),
            nn.Linear(conv_channels, embed_dim),
        )
        self.positional = RelativePositionalConv(
            embed_dim, pos_conv_width, pos_conv_depth, pos_conv_groups
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-5)
        self.input_dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation_dropout=activation_dropout,
                post_mlp_dropout=dropout,
            )
            for _ in range(depth)
        )
        self.layerdrop = layerdrop

    def num_frames(self, samples: Samples) -> Samples:
        """Count the frames of a waveform."""
        return frames_of(
            samples, self.config["conv_kernels"], self.config["conv_strides"]
        )

    def forward(
        self, wav: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode waveforms [B, S] (16 kHz, normalised per utterance).

        `lengths` [B] are relative to S. Gives [B, T, D], 0 at padding.
        """
        for state in self.states(wav, lengths):
            last = state
        return last

    def hidden_states(
        self, wav: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Return the output of every block, [B, T, D] each."""
        return list(self.states(wav, lengths))

    def states(
        self,
        wav: torch.Tensor,
        lengths: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[torch.Tensor]:
        """Yield the output of block after block, [B, T, D] each.

        With a `window` each frame attends to so many frames on each side: an
        approximation.
        """
        num_frames = None
        if lengths is not None:
            samples = relative_to_samples(lengths, wav.shape[1])
            num_frames = self.num_frames(samples)
        local = self.local_features(wav)
        real = None
        if num_frames is not None:
            real = frame_mask(num_frames, local.shape[1])
        for state, _ in self.run_blocks(local, real, window):
            yield state if real is None else state * real.unsqueeze(2)

    def local_features(self, wav: torch.Tensor) -> torch.Tensor:
        """Map normalised waveforms [B, S] to projected frames [B, T, D]."""
        if self.num_frames(wav.shape[1]) < 1:
            raise ValueError(
                f"wav has {wav.shape[1]} samples, too few for one frame: "
                "pad it with zeros to 400 samples (25 ms) or leave it out."
            )
        return self.projection(self.frontend(wav))

    def run_blocks(
        self,
        x: torch.Tensor,
        real: torch.Tensor | None = None,
        window: int | None = None,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Add positions to frames [B, T, D] and run the blocks.

        `real` [B, T] is False at padding. Yields output and MLP output of
        every block, [B, T, D] each.
        """
        zeroing = None if real is None else real.unsqueeze(2)
        x = self.norm(x + self.positional(x, zeroing))
        x = self.input_dropout(x)
        # Distances that weigh nothing: attention as it is, in bounded memory.
        frames = torch.arange(x.shape[1], device=x.device)[None]
        bias = AttentionBias(
            x.new_zeros(self.num_heads), frames, 0, real, window
        )
        mlp = torch.zeros_like(x)
        for block in self.blocks:
            # The draw is on the CPU generator: no wait for the device.
            if self.training and torch.rand(()) <= self.layerdrop:
                x = x + 0.0 * sum(p.view(-1)[0] for p in block.parameters())
            else:
                x, mlp = block(x, bias)
            yield x, mlp
