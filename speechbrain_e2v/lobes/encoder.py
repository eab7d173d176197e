"""The emotion2vec encoder: waveform in, frame features out."""

from collections.abc import Sequence

from speechbrain_e2v.lobes.context import ContextEncoder
from speechbrain_e2v.lobes.lengths import CONV_KERNELS, CONV_STRIDES
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class Emotion2vecEncoder(WaveformEncoder):
    """data2vec 2.0 audio encoder with emotion2vec's extra tokens.

    The defaults are emotion2vec base (93.17 M parameters); large has
    embed_dim 1024 and 16 heads. There are 4 + 8 blocks in the released model
    (the paper says 12); it has 10 extra (utterance) tokens, data2vec 2.0 none.

    Example
    -------
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4).eval()
    >>> import torch
    >>> wav = torch.randn(2, 16000)
    >>> encoder(wav, torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 48])
    """

    context: ContextEncoder

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
        super().__init__(locals())
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
