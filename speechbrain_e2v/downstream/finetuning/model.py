"""Encoder and head as the one module that is trained."""

from collections.abc import Mapping

import torch
from torch import nn

from speechbrain_e2v.lobes.batching import Layer, choose_layers, layer_indices
from speechbrain_e2v.lobes.lengths import relative_to_samples
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class TunedEncoder(nn.Module):
    """An encoder, the choice of its layers, and a head on frames.

    The head gets what a probe gets of frozen features: of "weighted" and
    "all" the layers one after the other. Modules in which nothing is trained
    stay in evaluation mode: no dropout in what is frozen.

    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> model = TunedEncoder(encoder, -1, LinearHead(48, 4))
    >>> model(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, encoder: WaveformEncoder, layer: Layer, head: nn.Module
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.layer = layer
        self.head = head

    @property
    def used_blocks(self) -> int:
        """Blocks up to the last one that is read."""
        return layer_indices(self.layer, self.encoder.num_layers)[-1] + 1

    def forward(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Outputs [B, n] of normalised waveforms [B, S], relative lengths."""
        num_frames = self.encoder.num_frames(
            relative_to_samples(lengths, wav.shape[1])
        )
        layer = "all" if self.layer == "weighted" else self.layer
        frames = choose_layers(
            self.encoder.states(wav, lengths), layer, self.encoder.num_layers
        )
        if layer == "all":
            frames = frames.transpose(1, 2).flatten(2)  # [B, T, L * D]
        return self.head(frames, num_frames)

    def train(self, mode: bool = True) -> "TunedEncoder":
        super().train(mode)
        for module in self.encoder.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self

    def trained_state(self) -> dict[str, torch.Tensor]:
        """The parameters that training may change, and all buffers."""
        frozen = {n for n, p in self.named_parameters() if not p.requires_grad}
        return {
            name: value
            for name, value in self.state_dict().items()
            if name not in frozen
        }

    def load_trained_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load what `trained_state` gave; ValueError for another model's."""
        if state.keys() != self.trained_state().keys():
            raise ValueError(
                "the checkpoint is of a model in which other tensors are "
                "trained: remove it to begin anew"
            )
        self.load_state_dict(state, strict=False)
