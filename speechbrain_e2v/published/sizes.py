"""Kinds and sizes of encoders, checked before anything is built of them."""

import inspect
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import torch

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.lobes.wavlm import WavLMEncoder
from speechbrain_e2v.published.state_dict_check import check_state

# Far beyond any published model, and far below what harms a machine.
_Width = Annotated[int, msgspec.Meta(ge=1, le=16384)]
_Depth = Annotated[int, msgspec.Meta(ge=0, le=200)]
_Small = Annotated[int, msgspec.Meta(ge=1, le=1000)]
_Layers = Annotated[list[_Small], msgspec.Meta(min_length=1, max_length=50)]
_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class _Sizes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What encoders of every kind are told, within bounds."""

    embed_dim: _Width
    num_heads: _Small
    depth: _Depth
    mlp_ratio: Annotated[float, msgspec.Meta(gt=0, le=64)]
    conv_channels: _Width
    conv_kernels: _Layers
    conv_strides: _Layers
    pos_conv_width: _Small
    pos_conv_groups: _Width
    dropout: _Share
    attention_dropout: _Share
    activation_dropout: _Share

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


class _Data2vecSizes(_Sizes, kw_only=True):
    """What emotion2vec and data2vec v1 have in common beside that."""

    num_extra_tokens: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    pos_conv_depth: Annotated[int, msgspec.Meta(ge=1, le=50)]
    layerdrop: _Share


class _Emotion2vecSizes(_Data2vecSizes, kw_only=True):
    prenet_depth: _Depth
    norm_eps: Annotated[float, msgspec.Meta(gt=0, le=0.1)]
    post_mlp_dropout: _Share
    prenet_dropout: _Share
    prenet_layerdrop: _Share


class _Data2vec1Sizes(_Data2vecSizes, kw_only=True):
    kind: Literal["data2vec1"]


class _WavLMSizes(_Sizes, kw_only=True):
    kind: Literal["wavlm"]
    num_buckets: Annotated[int, msgspec.Meta(ge=4, le=16384)]
    max_distance: Annotated[int, msgspec.Meta(ge=2, le=10**6)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_buckets % 4 or self.max_distance <= self.num_buckets // 4:
            raise ValueError(
                f"num_buckets is {self.num_buckets} and max_distance "
                f"{self.max_distance}: the buckets are a multiple of four, of "
                "which a quarter is less than the distance"
            )


class _Kind(NamedTuple):
    encoder: type[WaveformEncoder]
    sizes: type[_Sizes]


KINDS = {
    "emotion2vec": _Kind(Emotion2vecEncoder, _Emotion2vecSizes),
    "data2vec1": _Kind(Data2vec1Encoder, _Data2vec1Sizes),
    "wavlm": _Kind(WavLMEncoder, _WavLMSizes),
}
"""Encoders that files may describe: ``kind`` among their sizes names them.
Sizes without it are emotion2vec's, as files of before there were others."""


def kind_of(encoder: WaveformEncoder | type[WaveformEncoder]) -> str:
    """What an encoder is called in ``encoder.yaml`` and ``classifier.json``.

    >>> kind_of(Data2vec1Encoder)
    'data2vec1'
    """
    found = encoder if isinstance(encoder, type) else type(encoder)
    return next(
        k for k, kind in KINDS.items() if issubclass(found, kind.encoder)
    )


def sizes_of(encoder: WaveformEncoder) -> dict[str, Any]:
    """All that builds an encoder like this one, for a file."""
    kind = kind_of(encoder)
    named = {} if kind == "emotion2vec" else {"kind": kind}
    return {**named, **encoder.config}


def fresh_encoder(sizes: Mapping[str, Any]) -> WaveformEncoder:
    """Build an encoder of sizes, with random weights.

    >>> fresh_encoder({"kind": "data2vec1", "embed_dim": 48}).num_layers
    12
    """
    arguments = dict(sizes)
    kind = arguments.pop("kind", "emotion2vec")
    return KINDS[kind].encoder(**arguments)


def sizes_schema(sizes: Mapping[str, Any], origin: object) -> type[_Sizes]:
    """What sizes have to be, by their kind; ValueError for an unknown one."""
    kind = sizes.get("kind", "emotion2vec")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"{origin}: the encoder's kind is {shown(kind)}; known are "
            f"{', '.join(KINDS)}: a later version of this package may know it."
        )
    return KINDS[kind].sizes


def checked_sizes(sizes: Mapping[str, Any], origin: object) -> dict[str, Any]:
    """Complete sizes by the encoder's defaults; ValueError out of bounds.

    >>> checked_sizes({"embed_dim": 10**9}, "x.pt")
    Traceback (most recent call last):
    ...
    ValueError: x.pt: embed_dim: expected `int` <= 16384: no encoder has ...
    """
    schema = sizes_schema(sizes, origin)
    kind = KINDS[sizes.get("kind", "emotion2vec")].encoder
    parameters = inspect.signature(kind).parameters.values()
    defaults = {p.name: p.default for p in parameters}
    for name in ("conv_kernels", "conv_strides"):
        defaults[name] = list(defaults[name])
    sizes = {**defaults, **sizes}
    broken = [
        name
        for name, value in sizes.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]
    try:
        if broken:
            raise ValueError(f"{broken[0]} is no finite number")
        msgspec.convert(sizes, schema)
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
) -> WaveformEncoder:
    """Build an encoder of checked sizes, in evaluation mode, of its state.

    Its shapes are compared with the state's before memory is taken.
    """
    with torch.device("meta"):
        check_state(fresh_encoder(sizes), state, origin)
    encoder = fresh_encoder(sizes)
    encoder.load_state_dict(state)
    return encoder.eval()
