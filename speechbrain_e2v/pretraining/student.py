"""The student: masked clones of an utterance in, predictions out."""

from typing import NamedTuple

import torch
from torch import nn

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.lengths import frame_mask, relative_to_samples
from speechbrain_e2v.pretraining.masking import MaskLayout


class StudentOutput(NamedTuple):
    """What losses, teacher and health log need of one forward.

    Rows of clones: utterance 0 clone 0, utterance 0 clone 1, ... (R = B * K).
    """

    prediction: torch.Tensor
    """[R, M, D], decoder output at masked frames."""
    tokens: torch.Tensor
    """[R, N, D], encoder output at the extra tokens."""
    visible: torch.Tensor
    """[R, V, D], encoder output at visible frames."""
    local: torch.Tensor
    """[B, T, D], projected local features, unmasked: the teacher's input."""
    conv: torch.Tensor
    """[B, T, C], output of the convolutional front end."""
    num_frames: torch.Tensor | None
    """[B], real frames, None when nothing is padded."""


class Student(nn.Module):
    """Encoder and decoder behind one forward: one unit for DDP.

    Only visible frames are encoded. The positional convolution sees the whole
    sequence with masked frames zeroed; ALiBi keeps the original distances
    (paper section 3.2 and released behaviour).

    `decoder_dropout` acts on the encoder output that enters the decoder. The
    released code drops out in place, so its utterance loss sees the
    dropped-out output too; `utterance_sees_dropout` reproduces that.

    Example
    -------
    >>> from speechbrain_e2v.pretraining.masking import block_masks, mask_layout
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> student = Student(encoder, ConvDecoder(48, 24, groups=4))
    >>> layout = mask_layout(block_masks([49, 49], [[1, 2], [3, 4]]))
    >>> noise = 0.01 * torch.randn(4, 24, 48)
    >>> student(torch.randn(2, 16000), None, layout, noise).prediction.shape
    torch.Size([4, 24, 48])
    """

    def __init__(
        self,
        encoder: Emotion2vecEncoder,
        decoder: ConvDecoder,
        decoder_dropout: float = 0.1,
        utterance_sees_dropout: bool = False,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.decoder_dropout = nn.Dropout(decoder_dropout)
        self.utterance_sees_dropout = utterance_sees_dropout

    def forward(
        self,
        wav: torch.Tensor,
        lengths: torch.Tensor | None,
        layout: MaskLayout,
        noise: torch.Tensor,
    ) -> StudentOutput:
        """Predict the masked frames of every clone.

        `wav` [B, S] is normalised, 16 kHz; `lengths` [B] are relative, None
        when no row is padded; `noise` [R, M, D] is what the decoder sees in
        place of masked frames.
        """
        encoder, clones = self.encoder, layout.clones
        conv = encoder.frontend(wav)
        local = encoder.projection(conv)
        frames, width = local.shape[1:]
        num_frames = real = None
        if lengths is not None:
            samples = relative_to_samples(lengths, wav.shape[1])
            num_frames = encoder.num_frames(samples)
            real = frame_mask(num_frames, frames).unsqueeze(2)
            real = real.repeat_interleave(clones, 0)
        cloned = local.repeat_interleave(clones, 0)  # [R, T, D]
        kept = layout.visible_frames().to(cloned.dtype).unsqueeze(2)
        positional = encoder.context.positional(cloned * kept, real)
        at_visible = layout.visible.unsqueeze(2).expand(-1, -1, width)
        x = (cloned + positional).gather(1, at_visible)
        for state, _ in encoder.context.run_blocks(
            x, layout.visible, layout.visible_real
        ):
            encoded = state
        dropped = self.decoder_dropout(encoded)
        if self.utterance_sees_dropout:
            encoded = dropped
        tokens = encoder.context.num_extra_tokens
        prediction = self._decode(dropped[:, tokens:], layout, noise, real)
        return StudentOutput(
            prediction,
            encoded[:, :tokens],
            encoded[:, tokens:],
            local,
            conv,
            num_frames,
        )

    def _decode(
        self,
        visible: torch.Tensor,
        layout: MaskLayout,
        noise: torch.Tensor,
        real: torch.Tensor | None,
    ) -> torch.Tensor:
        rows, _, width = visible.shape
        frames = layout.frames
        at_visible = layout.visible.unsqueeze(2).expand(-1, -1, width)
        at_masked = layout.masked.unsqueeze(2)
        x = visible.new_zeros(rows, frames, width)
        if layout.visible_real is not None and layout.masked_real is not None:
            visible = visible * layout.visible_real.unsqueeze(2)
            noise = noise * layout.masked_real.unsqueeze(2)
        # Adding, not writing: fillers of short rows point at frame 0.
        x = x.scatter_add(1, at_visible, visible)
        x = x.scatter_add(1, at_masked.expand(-1, -1, width), noise.to(x.dtype))
        x = self.decoder(x, real)
        x = x.gather(1, at_masked.expand(-1, -1, x.shape[2]))
        return self.decoder.proj(x)
