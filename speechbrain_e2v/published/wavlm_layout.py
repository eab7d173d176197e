"""From published WavLM and Vesper tensors to a state under our names.

Two spellings: the released code's (``WavLM-Large.pt``, Vesper's checkpoints)
and HuggingFace's.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.lobes.lengths import CONV_STRIDES
from speechbrain_e2v.published.checkpoint import (
    Published,
    finite_floats,
    prefix_of,
)
from speechbrain_e2v.published.data2vec1_names import fairseq_name
from speechbrain_e2v.published.sizes import checked_sizes, fresh_encoder
from speechbrain_e2v.published.state_dict_check import demand_match

_Tensors = dict[str, torch.Tensor]

RELEASED_GATE = "encoder.layers.0.self_attn.grep_a"
HUGGINGFACE_GATE = "encoder.layers.0.attention.gru_rel_pos_const"
MASK = "context.mask_embedding"
_LAST_NORM = ("encoder.layer_norm.weight", "encoder.layer_norm.bias")

# From HuggingFace's names, where they are not those of data2vec's class.
_RENAMED = [
    (r"encoder\.pos_conv_embed\.conv\.(.+)", r"encoder.pos_conv.0.\1"),
    (r"(.+)\.parametrizations\.weight\.original0", r"\1.weight_g"),
    (r"(.+)\.parametrizations\.weight\.original1", r"\1.weight_v"),
    (r"(.+)\.gru_rel_pos_const", r"\1.grep_a"),
    (r"(.+)\.gru_rel_pos_linear\.(\w+)", r"\1.grep_linear.\2"),
    (r"(.+)\.rel_attn_embed\.weight", r"\1.relative_attention_bias.weight"),
]
# From our names to the released ones.
_TABLE = "encoder.layers.0.self_attn.relative_attention_bias.weight"
_OURS = [
    (r"context\.mask_embedding", "mask_emb"),
    (r"context\.relative\.table", _TABLE),
    (
        r"frontend\.layers\.(\d+)\.weight",
        r"feature_extractor.conv_layers.\1.0.weight",
    ),
    (
        r"frontend\.layers\.(\d+)\.norm\.(\w+)",
        r"feature_extractor.conv_layers.\1.2.1.\2",
    ),
    (r"projection\.0\.(\w+)", r"layer_norm.\1"),
    (r"projection\.1\.(\w+)", r"post_extract_proj.\1"),
    (r"context\.positional\.conv\.bias", "encoder.pos_conv.0.bias"),
    (
        r"context\.positional\.conv\.parametrizations\.weight\.original0",
        "encoder.pos_conv.0.weight_g",
    ),
    (
        r"context\.positional\.conv\.parametrizations\.weight\.original1",
        "encoder.pos_conv.0.weight_v",
    ),
    (r"(.+)\.attention\.gate_scale", r"\1.self_attn.grep_a"),
    (r"(.+)\.attention\.gate\.(\w+)", r"\1.self_attn.grep_linear.\2"),
    (r"(.+)\.attention\.proj\.(\w+)", r"\1.self_attn.out_proj.\2"),
    (r"(.+)\.norm1\.(\w+)", r"\1.self_attn_layer_norm.\2"),
    (r"(.+)\.norm2\.(\w+)", r"\1.final_layer_norm.\2"),
    (r"context\.blocks\.(.+)", r"encoder.layers.\1"),
]


def published_names(name: str) -> tuple[str, ...]:
    """Tell which released tensors make up a parameter of WavLMEncoder.

    One, or query, key and value, to be stacked in this order.

    >>> published_names("context.blocks.2.norm2.bias")
    ('encoder.layers.2.final_layer_norm.bias',)
    >>> published_names("context.blocks.2.attention.qkv.bias")[0]
    'encoder.layers.2.self_attn.q_proj.bias'
    """
    fused = re.fullmatch(r"context\.blocks\.(\d+)\.attention\.qkv\.(\w+)", name)
    if fused:
        layer = f"encoder.layers.{fused[1]}.self_attn"
        return tuple(f"{layer}.{x}_proj.{fused[2]}" for x in "qkv")
    for pattern, replacement in _OURS:
        name = re.sub(rf"{pattern}\Z", replacement, name)
    return (name,)


def read_wavlm(
    tensors: _Tensors,
    config: dict[str, Any] | None,
    origin: object,
    labels: Path | None = None,
) -> Published:
    """Translate the tensors of WavLM large, of its kind, or of Vesper.

    `config` is HuggingFace's ``config.json`` or what lay beside the weights;
    there is no head for `labels`. Raises ValueError when a tensor is missing,
    unexpected, mis-shaped or not finite, or the model is WavLM base, whose
    network is another.
    """
    config = config or {}
    if config.get("do_stable_layer_norm") is False:
        raise ValueError(
            f"{origin} has post-norm blocks, as WavLM base: this network is "
            "WavLM large's. Give one of that kind."
        )
    named, prefix, dropped = _released_names(tensors)
    shapes = {name: tuple(value.shape) for name, value in named.items()}
    sizes = checked_sizes(_sizes(shapes, config, origin), origin)
    expected: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        ours = fresh_encoder(sizes).state_dict()
    for name, value in ours.items():
        theirs = published_names(name)
        first, *rest = value.shape
        shape = (first // len(theirs), *rest)
        if name.endswith("gate_scale"):
            shape = (1, first, 1, 1)
        expected |= dict.fromkeys(theirs, shape)
    notes = []
    if "mask_emb" not in shapes:  # models that were only fine-tuned
        named["mask_emb"] = torch.zeros(sizes["embed_dim"])
        shapes["mask_emb"] = (sizes["embed_dim"],)
        notes.append("the file has no mask embedding: it is zero here")
    demand_match(expected, shapes, origin)
    state = {}
    for name, value in ours.items():
        parts = [
            finite_floats(named[part], part, origin)
            for part in published_names(name)
        ]
        state[name] = torch.cat(parts).reshape(value.shape)
    layout = "wavlm" if prefix is not None else "huggingface"
    return Published(layout, sizes, state, dropped=dropped, notes=notes)


def _released_names(
    tensors: _Tensors,
) -> tuple[_Tensors, str | None, dict[str, str]]:
    """Strip prefixes, translate HuggingFace's names, leave other parts out."""
    released = prefix_of(tensors, RELEASED_GATE)
    prefix = released
    if prefix is None:
        prefix = prefix_of(tensors, HUGGINGFACE_GATE) or ""
    named: _Tensors = {}
    dropped: dict[str, str] = {}
    for name, value in tensors.items():
        inner = name.removeprefix(prefix)
        if not name.startswith(prefix):
            dropped[name] = "not of the encoder"
            continue
        if released is None:
            inner = fairseq_name(inner) or inner
            for pattern, replacement in _RENAMED:
                inner = re.sub(rf"{pattern}\Z", replacement, inner)
        if inner in _LAST_NORM:
            dropped[name] = "LayerNorm behind the last block"
        else:
            named[inner] = value
    return named, released, dropped


def _sizes(
    shapes: Mapping[str, tuple[int, ...]],
    config: Mapping[str, Any],
    origin: object,
) -> dict[str, Any]:
    try:
        width, channels = shapes["post_extract_proj.weight"]
        hidden = shapes["encoder.layers.0.fc1.weight"][0]
        per_group, kernel = shapes["encoder.pos_conv.0.weight_v"][1:]
        buckets, heads = shapes[_TABLE]
        kernels = [
            shapes[f"feature_extractor.conv_layers.{i}.0.weight"][2]
            for i in range(len(CONV_STRIDES))
        ]
        groups = width // per_group
    except KeyError as missing:
        raise ValueError(f"{origin} lacks the tensor {missing}.") from None
    except (IndexError, ValueError, ZeroDivisionError):
        raise ValueError(
            f"{origin}: a tensor that tells a size has an impossible shape."
        ) from None
    layers = {
        int(found[1])
        for name in shapes
        if (found := re.match(r"encoder\.layers\.(\d{1,7})\.", name))
    }
    distance = config.get("max_bucket_distance", config.get("max_distance"))
    if distance is not None and type(distance) is not int:
        raise ValueError(f"{origin}: the bias reaches {shown(distance)} frames")
    return {
        "kind": "wavlm",
        "embed_dim": width,
        "num_heads": heads,
        "depth": max(layers) + 1,
        "mlp_ratio": hidden / width,
        "conv_channels": channels,
        "conv_kernels": kernels,
        "pos_conv_width": kernel,
        "pos_conv_groups": groups,
        "num_buckets": buckets,
        "max_distance": 800 if distance is None else distance,
    }
