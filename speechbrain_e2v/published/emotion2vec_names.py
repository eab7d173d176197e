"""Parameter names of the published data2vec 2.0 / emotion2vec files.

Facts from the published files: prenet and main blocks are numbered apart,
extra tokens and ALiBi scales carry dimensions of size one, Sequential indices
count layers without parameters.
"""

import re
from collections.abc import Iterable, Mapping

import torch

AUDIO = "modality_encoders.AUDIO"
_SIMPLE = {
    "context.extra_tokens": f"{AUDIO}.extra_tokens",
    "context.alibi.scale": f"{AUDIO}.alibi_scale",
}
_PREFIXES = [
    (r"projection\.0\.", rf"{AUDIO}.project_features.1."),
    (r"projection\.1\.", rf"{AUDIO}.project_features.2."),
    (r"context\.norm\.", rf"{AUDIO}.context_encoder.norm."),
    (r"decoder\.blocks\.(\d+)\.conv\.", rf"{AUDIO}.decoder.blocks.\1.0."),
    (r"decoder\.proj\.", rf"{AUDIO}.decoder.proj."),
]
_IN_BLOCK = {
    "attention.qkv": "attn.qkv",
    "attention.proj": "attn.proj",
    "norm1": "norm1",
    "norm2": "norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


def published_name(name: str, prenet_depth: int) -> str:
    """Translate a parameter name of ours to the published one.

    It is a name within Emotion2vecEncoder, or ``decoder.`` and a name within
    ConvDecoder. KeyError when there is no such name.

    >>> published_name("context.blocks.5.attention.qkv.bias", prenet_depth=4)
    'blocks.1.attn.qkv.bias'
    """
    if name in _SIMPLE:
        return _SIMPLE[name]
    for pattern, published in _PREFIXES:
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", published, name)
    match = re.fullmatch(r"frontend\.layers\.(\d+)\.(norm\.)?(\w+)", name)
    if match:
        layer, norm, kind = match.groups()
        index = "2.1" if norm else "0"
        return f"{AUDIO}.local_encoder.conv_layers.{layer}.{index}.{kind}"
    match = re.fullmatch(
        r"context\.positional\.blocks\.(\d+)\.conv\.(\w+)", name
    )
    if match:
        layer, kind = int(match[1]) + 1, match[2]
        return f"{AUDIO}.relative_positional_encoder.{layer}.0.{kind}"
    match = re.fullmatch(r"context\.blocks\.(\d+)\.(.+)\.(\w+)", name)
    if match and match[2] in _IN_BLOCK:
        layer, part = int(match[1]), f"{_IN_BLOCK[match[2]]}.{match[3]}"
        if layer < prenet_depth:
            return f"{AUDIO}.context_encoder.blocks.{layer}.{part}"
        return f"blocks.{layer - prenet_depth}.{part}"
    raise KeyError(f"no published name is known for parameter {name!r}")


def published_shape(name: str, shape: Iterable[int]) -> tuple[int, ...]:
    """Return the shape a parameter of ours has in a published file.

    >>> published_shape("context.alibi.scale", (12,))
    (1, 1, 12, 1, 1)
    """
    if name == "context.extra_tokens":
        return (1, *shape)
    if name == "context.alibi.scale":
        return (1, 1, *shape, 1, 1)
    return tuple(shape)


def published_parameters(
    module_state: Mapping[str, torch.Tensor],
    prenet_depth: int,
    prefix: str = "",
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Map published names to our names in a state dict and published shapes.

    The state is of an Emotion2vecEncoder, or of a part of it with a `prefix`
    (``decoder.``, ``context.``). Empty tensors (no extra tokens) are not in
    published files.

    >>> state = {"alibi.scale": torch.ones(12)}
    >>> published_parameters(state, prenet_depth=4, prefix="context.")
    {'modality_encoders.AUDIO.alibi_scale': ('alibi.scale', (1, 1, 12, 1, 1))}
    """
    return {
        published_name(prefix + name, prenet_depth): (
            name,
            published_shape(prefix + name, value.shape),
        )
        for name, value in module_state.items()
        if value.numel()
    }
