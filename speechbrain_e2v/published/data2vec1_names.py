"""Parameter names of data2vec v1 audio: fairseq's, HuggingFace's and ours.

Ours are those of Data2vec1Encoder: ``frontend``, ``projection`` and, under
``context``, ``positional``, ``norm`` and ``blocks.N`` with one
``attention.qkv`` for the three published projections; beside it
``mask_embedding`` and ``prediction``, which only pre-training needs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from speechbrain_e2v.lobes.lengths import CONV_STRIDES
from speechbrain_e2v.published.emotion2vec_sizes import MAX_BLOCKS
from speechbrain_e2v.published.state_dict_check import demand_match

Shapes = Mapping[str, Sequence[int]]

FAIRSEQ_ANCHOR = "feature_extractor.conv_layers.0.0.weight"
CONTEXT = "context."
"""Before our names of all that the teacher averages."""
HUGGINGFACE_ANCHOR = "feature_extractor.conv_layers.0.conv.weight"

_FROM_HUGGINGFACE = [
    (r"masked_spec_embed", r"mask_emb"),
    (
        r"feature_extractor\.conv_layers\.(\d+)\.conv\.weight",
        r"feature_extractor.conv_layers.\1.0.weight",
    ),
    (
        r"feature_extractor\.conv_layers\.(\d+)\.layer_norm\.(\w+)",
        r"feature_extractor.conv_layers.\1.2.1.\2",
    ),
    (r"feature_projection\.layer_norm\.(\w+)", r"layer_norm.\1"),
    (r"feature_projection\.projection\.(\w+)", r"post_extract_proj.\1"),
    (
        r"encoder\.pos_conv_embed\.layers\.(\d+)\.conv\.(\w+)",
        r"encoder.pos_conv.\1.0.\2",
    ),
    (r"encoder\.layer_norm\.(\w+)", r"encoder.layer_norm.\1"),
    (
        r"encoder\.layers\.(\d+)\.attention\.(.+)",
        r"encoder.layers.\1.self_attn.\2",
    ),
    (
        r"encoder\.layers\.(\d+)\.layer_norm\.(\w+)",
        r"encoder.layers.\1.self_attn_layer_norm.\2",
    ),
    (
        r"encoder\.layers\.(\d+)\.feed_forward\.intermediate_dense\.(\w+)",
        r"encoder.layers.\1.fc1.\2",
    ),
    (
        r"encoder\.layers\.(\d+)\.feed_forward\.output_dense\.(\w+)",
        r"encoder.layers.\1.fc2.\2",
    ),
    (
        r"encoder\.layers\.(\d+)\.final_layer_norm\.(\w+)",
        r"encoder.layers.\1.final_layer_norm.\2",
    ),
]
_SIMPLE = {
    "mask_embedding": "mask_emb",
    "projection.0": "layer_norm",
    "projection.1": "post_extract_proj",
    "context.norm": "encoder.layer_norm",
    "prediction": "final_proj",
}
_IN_BLOCK = {
    "attention.proj": "self_attn.out_proj",
    "norm1": "self_attn_layer_norm",
    "fc1": "fc1",
    "fc2": "fc2",
    "norm2": "final_layer_norm",
}
_PROJECTIONS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
TRAINING_ONLY = ("mask_embedding", "prediction.weight", "prediction.bias")
"""What only masked prediction needs; HuggingFace files lack `prediction`."""


def fairseq_name(name: str) -> str | None:
    """Translate a HuggingFace Data2VecAudioModel name, None for foreign ones.

    >>> fairseq_name("encoder.layers.3.feed_forward.output_dense.bias")
    'encoder.layers.3.fc2.bias'
    """
    for pattern, replacement in _FROM_HUGGINGFACE:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    return None


def published_names(name: str) -> tuple[str, ...]:
    """Tell which fairseq tensors make up a parameter of ours.

    One, or query, key and value, to be stacked in this order.

    >>> published_names("context.blocks.0.norm2.bias")
    ('encoder.layers.0.final_layer_norm.bias',)
    >>> len(published_names("context.blocks.0.attention.qkv.weight"))
    3
    """
    if name in _SIMPLE:
        return (_SIMPLE[name],)
    stem, _, kind = name.rpartition(".")
    if stem in _SIMPLE:
        return (f"{_SIMPLE[stem]}.{kind}",)
    if match := re.fullmatch(r"frontend\.layers\.(\d+)(\.norm)?", stem):
        index = "2.1" if match[2] else "0"
        return (f"feature_extractor.conv_layers.{match[1]}.{index}.{kind}",)
    if match := re.fullmatch(r"context\.positional\.blocks\.(\d+)\.conv", stem):
        return (f"encoder.pos_conv.{match[1]}.0.{kind}",)
    if match := re.fullmatch(r"context\.blocks\.(\d+)\.(.+)", stem):
        layer = f"encoder.layers.{match[1]}"
        if match[2] == "attention.qkv":
            return tuple(f"{layer}.{part}.{kind}" for part in _PROJECTIONS)
        if match[2] in _IN_BLOCK:
            return (f"{layer}.{_IN_BLOCK[match[2]]}.{kind}",)
    raise KeyError(f"no published name is known for parameter {name!r}")


def model_sizes(shapes: Shapes, origin: object) -> dict[str, Any]:
    """Read the sizes of a model off the shapes of its fairseq-named tensors.

    Heads cannot be seen in them: base has 12, large 16, that is 64 channels
    each. ValueError when a tensor that tells a size is missing.
    """
    try:
        width, channels = shapes["post_extract_proj.weight"]
        hidden = shapes["encoder.layers.0.fc1.weight"][0]
        per_group, kernel = shapes["encoder.pos_conv.0.0.weight"][1:]
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
    depth = _count(shapes, r"encoder\.layers\.(\d+)\..+", origin)
    positional = _count(shapes, r"encoder\.pos_conv\.(\d+)\..+", origin)
    return {
        "kind": "data2vec1",
        "embed_dim": width,
        "num_heads": max(1, width // 64),
        "depth": depth,
        "mlp_ratio": hidden / width,
        "conv_channels": channels,
        "conv_kernels": kernels,
        "conv_strides": list(CONV_STRIDES),
        "pos_conv_width": kernel * positional,
        "pos_conv_depth": positional,
        "pos_conv_groups": groups,
    }


def expected_shapes(sizes: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """List our parameters and their shapes for what `model_sizes` returns.

    >>> sizes = dict(
    ...     embed_dim=48, depth=3, mlp_ratio=4.0, conv_channels=32,
    ...     conv_kernels=[10, 3, 3, 3, 3, 2, 2], pos_conv_width=95,
    ...     pos_conv_depth=5, pos_conv_groups=4)
    >>> expected_shapes(sizes)["context.blocks.2.attention.qkv.weight"]
    (144, 48)
    """
    width, channels = sizes["embed_dim"], sizes["conv_channels"]
    hidden = round(width * sizes["mlp_ratio"])
    shapes: dict[str, tuple[int, ...]] = {"mask_embedding": (width,)}
    for i, kernel in enumerate(sizes["conv_kernels"]):
        layer = f"frontend.layers.{i}"
        shapes[f"{layer}.weight"] = (channels, channels if i else 1, kernel)
        shapes |= _norm(f"{layer}.norm", channels)
    shapes |= _norm("projection.0", channels)
    shapes |= _linear("projection.1", width, channels)
    depth, groups = sizes["pos_conv_depth"], sizes["pos_conv_groups"]
    kernel = max(3, sizes["pos_conv_width"] // depth)
    for i in range(depth):
        conv = f"context.positional.blocks.{i}.conv"
        shapes[f"{conv}.weight"] = (width, width // groups, kernel)
        shapes[f"{conv}.bias"] = (width,)
    shapes |= _norm("context.norm", width)
    for i in range(sizes["depth"]):
        block = f"context.blocks.{i}"
        shapes |= _linear(f"{block}.attention.qkv", 3 * width, width)
        shapes |= _linear(f"{block}.attention.proj", width, width)
        shapes |= _norm(f"{block}.norm1", width)
        shapes |= _linear(f"{block}.fc1", hidden, width)
        shapes |= _linear(f"{block}.fc2", width, hidden)
        shapes |= _norm(f"{block}.norm2", width)
    return shapes | _linear("prediction", width, width)


def demand_every_tensor(
    shapes: Shapes, sizes: Mapping[str, Any], origin: object
) -> None:
    """Demand that fairseq-named tensors are exactly those of the sizes."""
    expected: dict[str, tuple[int, ...]] = {}
    for name, shape in expected_shapes(sizes).items():
        published = published_names(name)
        if name in TRAINING_ONLY and published[0] not in shapes:
            continue
        part = (shape[0] // len(published), *shape[1:])
        expected |= dict.fromkeys(published, part)
    demand_match(expected, shapes, origin)


def stack(tensors: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """Make a parameter of ours from fairseq-named tensors."""
    parts = [tensors[part] for part in published_names(name)]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _count(shapes: Shapes, pattern: str, origin: object) -> int:
    found = (re.fullmatch(pattern, name) for name in shapes)
    indices = (int(match[1][:7]) for match in found if match)
    count = max(indices, default=-1) + 1
    if count > MAX_BLOCKS:
        raise ValueError(
            f"{origin} names layer {count - 1}; no published model has more "
            f"than {MAX_BLOCKS}."
        )
    return count


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
