"""data2vec v1 audio encoder: waveform in, frame features out."""

from collections.abc import Sequence

from speechbrain_e2v.lobes.alibi import NoAlibi
from speechbrain_e2v.lobes.context import ContextEncoder
from speechbrain_e2v.lobes.lengths import CONV_KERNELS, CONV_STRIDES
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class Data2vec1Encoder(WaveformEncoder):
    """The Transformer of data2vec v1 (Baevski et al., 2022), released sizes.

    Neither ALiBi nor prenet: positions are convolved, added and normalised,
    then come post-norm blocks. The defaults are base (93.16 M parameters);
    the released model has no extra tokens, which emotion2vec's utterance loss
    can be given here all the same. Padding never matters; the released code
    lets it into the positional convolution.

    >>> import torch
    >>> encoder = Data2vec1Encoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 48])
    """

    context: ContextEncoder

    def __init__(
        self,
        embed_dim: int = 768,
        num_heads: int = 12,
        depth: int = 12,
        num_extra_tokens: int = 0,
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
    ):
        super().__init__(locals())
        self.context = ContextEncoder(
            embed_dim,
            num_heads,
            0,
            depth,
            num_extra_tokens,
            NoAlibi(num_heads),
            pos_conv_width=pos_conv_width,
            pos_conv_depth=pos_conv_depth,
            pos_conv_groups=pos_conv_groups,
            prenet_dropout=dropout,
            layerdrop=layerdrop,
            mlp_ratio=mlp_ratio,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
            post_mlp_dropout=dropout,
        )
