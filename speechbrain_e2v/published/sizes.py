"""Sizes of an encoder: checked before anything of that size is built."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import torch

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.state_dict_check import check_state

# Far beyond any published model, and far below what harms a machine.
_Width = Annotated[int, msgspec.Meta(ge=1, le=16384)]
_Depth = Annotated[int, msgspec.Meta(ge=0, le=200)]
_Small = Annotated[int, msgspec.Meta(ge=1, le=1000)]
_Layers = Annotated[list[_Small], msgspec.Meta(min_length=1, max_length=50)]
_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class EncoderSizes(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True
):
    """The arguments of Emotion2vecEncoder, all of them, within bounds."""

    embed_dim: _Width
    num_heads: _Small
    prenet_depth: _Depth
    depth: _Depth
    num_extra_tokens: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    mlp_ratio: Annotated[float, msgspec.Meta(gt=0, le=64)]
    conv_channels: _Width
    conv_kernels: _Layers
    conv_strides: _Layers
    pos_conv_width: _Small
    pos_conv_depth: Annotated[int, msgspec.Meta(ge=1, le=50)]
    pos_conv_groups: _Width
    norm_eps: Annotated[float, msgspec.Meta(gt=0, le=0.1)]
    dropout: _Share
    attention_dropout: _Share
    activation_dropout: _Share
    post_mlp_dropout: _Share
    prenet_dropout: _Share
    layerdrop: _Share
    prenet_layerdrop: _Share

    def __post_init__(self) -> None:
        for name in ("num_heads", "pos_conv_groups"):
            if self.embed_dim % getattr(self, name):
                raise ValueError(
                    f"{name} is {getattr(self, name)}, which does not divide "
                    f"embed_dim {self.embed_dim}"
                )
        if len(self.conv_kernels) != len(self.conv_strides):
            raise ValueError(
                f"there are {len(self.conv_kernels)} conv_kernels, but "
                f"{len(self.conv_strides)} conv_strides"
            )


def checked_sizes(sizes: Mapping[str, Any], origin: object) -> dict[str, Any]:
    """Complete sizes by the encoder's defaults; ValueError out of bounds.

    >>> checked_sizes({"embed_dim": 10**9}, "x.pt")
    Traceback (most recent call last):
    ...
    ValueError: x.pt: embed_dim: expected `int` <= 16384: no encoder has ...
    """
    with torch.device("meta"):
        defaults = Emotion2vecEncoder(depth=0, prenet_depth=0).config
    sizes = {**defaults, "depth": 8, "prenet_depth": 4, **sizes}
    broken = [
        name
        for name, value in sizes.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]
    try:
        if broken:
            raise ValueError(f"{broken[0]} is no finite number")
        msgspec.convert(sizes, EncoderSizes)
    except ValueError as error:  # also msgspec's
        problem, _, where = str(error).partition(" - at `$.")
        key = f"{where.rstrip('`')}: " if where else ""
        text = problem[:1].lower() + problem[1:]
        raise ValueError(
            f"{origin}: {key}{text}: no encoder has such sizes, get the file "
            "from its origin."
        ) from None
    return sizes


def build_encoder(
    sizes: Mapping[str, Any], state: Mapping[str, torch.Tensor], origin: object
) -> Emotion2vecEncoder:
    """Build an encoder of checked sizes, in evaluation mode, of its state.

    Its shapes are compared with the state's before memory is taken.
    """
    with torch.device("meta"):
        check_state(Emotion2vecEncoder(**sizes), state, origin)
    encoder = Emotion2vecEncoder(**sizes)
    encoder.load_state_dict(state)
    return encoder.eval()
