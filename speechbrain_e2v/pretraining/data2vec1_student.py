"""The student of data2vec v1: whole utterances in, a few frames replaced."""

import torch
from torch import nn

from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.lengths import relative_to_samples
from speechbrain_e2v.pretraining.masking import MaskLayout
from speechbrain_e2v.pretraining.student import StudentOutput


class Data2vec1Student(nn.Module):
    """Encoder, learned mask embedding and predicting layer: one unit for DDP.

    The embedding stands in place of masked frames, and all frames are encoded
    (Baevski et al., 2022; released behaviour). `decoder` is the layer D -> D
    that predicts the targets, `final_proj` in the released code.

    >>> from speechbrain_e2v.pretraining.masking import mask_layout, span_masks
    >>> encoder = Data2vec1Encoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4)
    >>> student = Data2vec1Student(encoder, nn.Linear(48, 48))
    >>> layout = mask_layout(span_masks([49, 49], [[1], [2]], 0.65, 10))
    >>> noise = torch.zeros(*layout.masked.shape, 48)
    >>> output = student(torch.randn(2, 16000), None, layout, noise)
    >>> output.prediction.shape == noise.shape
    True
    """

    def __init__(self, encoder: Data2vec1Encoder, decoder: nn.Linear):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.mask_embedding = nn.Parameter(torch.rand(encoder.embed_dim))

    def forward(
        self,
        wav: torch.Tensor,
        lengths: torch.Tensor | None,
        layout: MaskLayout,
        noise: torch.Tensor,
    ) -> StudentOutput:
        """Predict the masked frames of every clone; see `Student.forward`.

        `noise` [R, M, D] is added to the mask embedding, zeros as released.
        """
        context = self.encoder.context
        conv = self.encoder.frontend(wav)
        local = self.encoder.projection(conv)
        num_frames = cloned_frames = None
        if lengths is not None:
            samples = relative_to_samples(lengths, wav.shape[1])
            num_frames = self.encoder.num_frames(samples)
            cloned_frames = num_frames.repeat_interleave(layout.clones)
        cloned = local.repeat_interleave(layout.clones, 0)  # [R, T, D]
        at_masked = _over_channels(layout.masked, cloned)
        if layout.masked_real is not None:
            noise = noise * layout.masked_real.unsqueeze(2)
        seen = layout.visible_frames().bool().unsqueeze(2)
        # Padding gets the embedding, too, and is not attended to.
        masked = torch.where(seen, cloned, self.mask_embedding.to(cloned.dtype))
        masked = masked.scatter_add(1, at_masked, noise.to(masked.dtype))
        for state, _ in context(masked, cloned_frames):
            encoded = state
        tokens, frames = encoded.split(
            [context.num_extra_tokens, layout.frames], dim=1
        )
        return StudentOutput(
            self.decoder(frames.gather(1, at_masked)),
            tokens,
            frames.gather(1, _over_channels(layout.visible, frames)),
            local,
            conv,
            num_frames,
        )


def _over_channels(index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Frames [R, M] as gather indices into [R, T, D]."""
    return index.unsqueeze(2).expand(-1, -1, x.shape[2])
