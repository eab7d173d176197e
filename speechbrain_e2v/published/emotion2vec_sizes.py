"""Sizes of a published emotion2vec / data2vec 2.0 model.

Tensors tell nearly all of them. What they cannot tell (strides, epsilons,
dropouts) comes from the config in the file or, without one, from the values
of every published model. Where both speak they must agree.
"""

import ast
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.lobes.lengths import CONV_STRIDES
from speechbrain_e2v.published.emotion2vec_names import AUDIO

Shapes = Mapping[str, Sequence[int]]

MAX_BLOCKS = 200
_MAX_CONVOLUTIONS = 100
_MAX_CONVOLUTIONS_TEXT = 10_000
_CONV = rf"{AUDIO}\.local_encoder\.conv_layers\.(\d+)\.0\.weight"
_POSITIONAL = rf"{AUDIO}\.relative_positional_encoder\.(\d+)\.0\.weight"
_PRENET = rf"{AUDIO}\.context_encoder\.blocks\.(\d+)\..+"
_MAIN = r"blocks\.(\d+)\..+"
_HIDDEN = r"blocks\.(\d+)\.mlp\.fc1\.weight"
_DECODER = rf"{AUDIO}\.decoder\.blocks\.(\d+)\.0\.weight"
_MODEL_SETTINGS = {
    "embed_dim": "embed_dim",
    "num_heads": "num_heads",
    "depth": "depth",
    "mlp_ratio": "mlp_ratio",
    "norm_eps": "norm_eps",
    "encoder_dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "post_mlp_drop": "post_mlp_dropout",
    "layerdrop": "layerdrop",
}
_AUDIO_SETTINGS = {
    "prenet_depth": "prenet_depth",
    "num_extra_tokens": "num_extra_tokens",
    "prenet_dropout": "prenet_dropout",
    "prenet_layerdrop": "prenet_layerdrop",
    "conv_pos_width": "pos_conv_width",
    "conv_pos_depth": "pos_conv_depth",
    "conv_pos_groups": "pos_conv_groups",
}
_REQUIRED = {
    "layer_norm_first": False,
    "conv_pos_pre_ln": False,
    "extractor_mode": "layer_norm",
    "use_alibi_encoder": True,
    "learned_alibi": False,
    "learned_alibi_scale": True,
    "learned_alibi_scale_per_layer": False,
}


def encoder_sizes(shapes: Shapes, origin: object) -> dict[str, Any]:
    """Read the arguments of Emotion2vecEncoder off published tensors' shapes.

    Names are without prefix. ValueError when a tensor that tells a size is
    missing or impossible.

    >>> shapes = {
    ...     "modality_encoders.AUDIO.alibi_scale": (1, 1, 12, 1, 1),
    ...     "modality_encoders.AUDIO.project_features.2.weight": (768, 512)}
    >>> encoder_sizes(shapes, "half.pt")
    Traceback (most recent call last):
    ...
    ValueError: half.pt lacks the tensors of the convolutions: ...
    """
    kernels = _layers(shapes, _CONV, "the convolutions", origin)
    width, channels = _shape(
        shapes, f"{AUDIO}.project_features.2.weight", 2, origin
    )
    positional = _layers(
        shapes, _POSITIONAL, "the positional convolution", origin, first=1
    )
    first = min(_indices(shapes, _HIDDEN), default=0)
    hidden, _ = _shape(shapes, f"blocks.{first}.mlp.fc1.weight", 2, origin)
    tokens = shapes.get(f"{AUDIO}.extra_tokens", (1, 0, width))
    return {
        "embed_dim": width,
        "num_heads": _heads(shapes, width, origin),
        "prenet_depth": _depth(shapes, _PRENET, origin),
        "depth": _depth(shapes, _MAIN, origin),
        "num_extra_tokens": tokens[-2] if len(tokens) > 1 else 0,
        "mlp_ratio": hidden / width,
        "conv_channels": channels,
        "conv_kernels": [shape[2] for shape in kernels],
        "conv_strides": list(CONV_STRIDES),
        "pos_conv_width": positional[0][2] * len(positional),
        "pos_conv_depth": len(positional),
        "pos_conv_groups": _groups(width, positional[0][1], origin),
    }


def decoder_sizes(shapes: Shapes, width: int) -> dict[str, int]:
    """Read the arguments of ConvDecoder off tensors; `width` the encoder's."""
    layers = _layers(shapes, _DECODER, "the decoder", "the file")
    channels, per_group, kernel = layers[0]
    return {
        "embed_dim": width,
        "channels": channels,
        "kernel": kernel,
        "num_layers": len(layers),
        "groups": _groups(width, per_group, "the decoder"),
    }


def agree_with_config(
    sizes: dict[str, Any], config: Mapping[str, Any], origin: object
) -> dict[str, Any]:
    """Complete sizes by the model's config and check it against the tensors.

    ValueError when the two disagree, or it wants another architecture.

    >>> agree_with_config({"depth": 8}, {"depth": 12}, "x.pt")
    Traceback (most recent call last):
    ...
    ValueError: x.pt: config and tensors disagree: depth is 12 in the ...
    """
    modalities = _settings(config, "modalities", origin)
    audio = _settings(modalities, "audio", origin) or _settings(
        modalities, "AUDIO", origin
    )
    problems = [
        f"{name} is {shown(part[name])}, only {value!r} is published and "
        "supported"
        for part in (config, audio)
        for name, value in _REQUIRED.items()
        if part.get(name, value) != value
    ]
    said = _translate(config, _MODEL_SETTINGS, origin)
    said |= _translate(audio, _AUDIO_SETTINGS, origin)
    if "pos_conv_width" in said and said.get("pos_conv_depth", 0) >= 1:
        # Only the kernel shows in the tensors, and it is rounded down.
        depth = sizes["pos_conv_depth"]
        kernel = max(3, said["pos_conv_width"] // said["pos_conv_depth"])
        if kernel * depth == sizes["pos_conv_width"]:
            sizes = {**sizes, "pos_conv_width": said["pos_conv_width"]}
    if audio.get("feature_encoder_spec"):
        layers = read_convolutions(audio["feature_encoder_spec"], origin)
        said["conv_channels"] = layers[0][0]
        said["conv_kernels"] = [kernel for _, kernel, _ in layers]
        strides = [stride for _, _, stride in layers]
        sizes = {**sizes, "conv_strides": strides}
    problems += [
        f"{name} is {value} in the config, {sizes[name]} in the tensors"
        for name, value in said.items()
        if name in sizes and sizes[name] != value
    ]
    if problems:
        raise ValueError(
            f"{origin}: config and tensors disagree: {'; '.join(problems)}. "
            "They are of two different models: get both from one place."
        )
    return {**sizes, **said}


def _settings(
    part: Mapping[str, Any], name: str, origin: object
) -> dict[str, Any]:
    value = part.get(name)
    if not isinstance(value, dict | None):
        raise ValueError(
            f"{origin}: {name} is {shown(value)} in the config: not settings."
        )
    return value or {}


def _translate(
    part: Mapping[str, Any], names: Mapping[str, str], origin: object
) -> dict[str, Any]:
    return {
        ours: _number(theirs, part[theirs], origin)
        for theirs, ours in names.items()
        if part.get(theirs) is not None
    }


def _number(name: str, value: Any, origin: object) -> int | float:
    if isinstance(value, str):
        # YAML 1.1 takes the published `norm_eps: 1e-05` for a text.
        try:
            return int(value) if value.isdecimal() else float(value)
        except ValueError:
            pass
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not -1e9 < value < 1e9  # nor NaN
    ):
        raise ValueError(
            f"{origin}: {name} is {shown(repr(value))} in the config: not a "
            "number of a model."
        )
    return value


def _indices(shapes: Shapes, pattern: str) -> list[int]:
    found = (re.fullmatch(pattern, name) for name in shapes)
    return sorted(int(match[1][:7]) for match in found if match)


def _depth(shapes: Shapes, pattern: str, origin: object) -> int:
    # By any tensor of a block: what a block lacks is listed by name later.
    depth = max(_indices(shapes, pattern), default=-1) + 1
    if depth > MAX_BLOCKS:
        raise ValueError(
            f"{origin} names block {depth - 1}; no published model has more "
            f"than {MAX_BLOCKS}."
        )
    return depth


def _layers(
    shapes: Shapes, pattern: str, what: str, origin: object, first: int = 0
) -> list[tuple[int, ...]]:
    indices = _indices(shapes, pattern)
    expected = list(range(first, first + len(indices)))
    if not indices or len(indices) > MAX_BLOCKS or indices != expected:
        raise ValueError(
            f"{origin} lacks the tensors of {what}: expected "
            f"{pattern.replace(chr(92), '')} for {first}, {first + 1}, ..., "
            f"found {indices[:20]}."
        )
    name = pattern.replace(r"(\d+)", "{}").replace("\\", "")
    return [_shape(shapes, name.format(i), None, origin) for i in indices]


def _shape(
    shapes: Shapes, name: str, dimensions: int | None, origin: object
) -> tuple[int, ...]:
    if name not in shapes:
        raise ValueError(f"{origin} lacks the tensor {name}.")
    shape = tuple(shapes[name])
    if len(shape) < 2 or dimensions not in (None, len(shape)) or 0 in shape:
        raise ValueError(f"{origin}: {name} has the impossible shape {shape}.")
    return shape


def _heads(shapes: Shapes, width: int, origin: object) -> int:
    scale = tuple(shapes.get(f"{AUDIO}.alibi_scale", ()))
    heads = scale[-3] if len(scale) in (4, 5) else 0
    if heads < 1 or width % heads:
        raise ValueError(
            f"{origin}: {AUDIO}.alibi_scale has shape {scale}; (1, 1, heads, "
            f"1, 1) with heads dividing the width {width} is published."
        )
    return heads


def _groups(width: int, per_group: int, origin: object) -> int:
    if width % per_group:
        raise ValueError(
            f"{origin}: a grouped convolution has {per_group} channels a "
            f"group, which does not divide the width {width}."
        )
    return width // per_group


def read_convolutions(text: Any, origin: object) -> list[tuple[int, ...]]:
    """Read fairseq's list of (channels, kernel, stride) without running it.

    >>> read_convolutions("[(32, 10, 5)] + [(32, 3, 2)] * 2", "x.pt")
    [(32, 10, 5), (32, 3, 2), (32, 3, 2)]
    """
    try:
        if not isinstance(text, str) or len(text) > _MAX_CONVOLUTIONS_TEXT:
            raise TypeError("not a short text")
        layers = _evaluate(ast.parse(text.strip(), mode="eval").body)
        if layers and all(len(layer) == 3 for layer in layers):
            return [tuple(map(operator.index, layer)) for layer in layers]
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        pass
    raise ValueError(
        f"{origin}: the config's list of convolutions cannot be read: "
        f"{shown(text)}; expected like [(512, 10, 5)] + [(512, 3, 2)] * 4"
    )


def _evaluate(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_evaluate(item) for item in node.elts]
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left), _evaluate(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, list):
            return left + right
        if isinstance(node.op, ast.Mult):
            count, layers = sorted((left, right), key=lambda v: type(v) is list)
            if count * len(layers) in range(_MAX_CONVOLUTIONS):
                return layers * count
    raise TypeError("not a list of convolutions")
