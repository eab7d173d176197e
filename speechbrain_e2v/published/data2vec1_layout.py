"""From published data2vec v1 audio tensors to a state under our names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.published.checkpoint import (
    EMA,
    Published,
    finite_floats,
    prefix_of,
)
from speechbrain_e2v.published.data2vec1_names import (
    CONTEXT,
    FAIRSEQ_ANCHOR,
    HUGGINGFACE_ANCHOR,
    TRAINING_ONLY,
    demand_every_tensor,
    expected_shapes,
    fairseq_name,
    model_sizes,
    published_names,
    stack,
)
from speechbrain_e2v.published.sizes import checked_sizes

_Tensors = dict[str, torch.Tensor]

_TASK_HEADS = (
    "classifier.",
    "layer_weights",
    "lm_head.",
    "projector.",
    "w2v_encoder.proj.",
)


def read_data2vec1(
    tensors: _Tensors,
    config: dict[str, Any] | None,
    origin: object,
    labels: Path | None = None,
) -> Published:
    """Translate the tensors of a file of fairseq's or HuggingFace's.

    `config` is HuggingFace's ``config.json`` or fairseq's part on the model;
    there is no head for `labels`. Raises ValueError when a tensor is missing,
    unexpected, mis-shaped or not finite, or the config is of another model.
    """
    of_fairseq = prefix_of(tensors, FAIRSEQ_ANCHOR) is not None
    tensors, ema, dropped = _fairseq_names(tensors)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    sizes = model_sizes(shapes, origin)
    _check_config(sizes, config or {}, origin)
    demand_every_tensor(shapes, sizes, origin)
    sizes = checked_sizes(sizes, origin)
    state = _state(tensors, sizes, "", origin)
    mask = state.pop("mask_embedding", None)
    decoder = _below("prediction.", state)
    for name in decoder:
        del state[f"prediction.{name}"]
    tokens = torch.empty(0, sizes["embed_dim"])
    found = Published(
        "data2vec1" if of_fairseq else "huggingface",
        sizes,
        state | {f"{CONTEXT}extra_tokens": tokens},
        decoder or None,
        mask_embedding=mask,
        dropped=dropped,
    )
    if ema:
        prefixed = {f"encoder.{name}": value for name, value in ema.items()}
        teacher = _teacher_names(sizes)
        theirs = {name: tuple(v.shape) for name, v in prefixed.items()}
        if theirs == {name: shapes[name] for name in teacher}:
            named = _state(prefixed, sizes, "encoder.", origin)
            found.teacher = _below(CONTEXT, named) | {"extra_tokens": tokens}
        else:
            found.dropped["teacher"] = (
                f"{len(ema)} tensors of a teacher whose parts are not the "
                "student's"
            )
    return found


def _below(prefix: str, state: _Tensors) -> _Tensors:
    """The part of a state below a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
    }


def _fairseq_names(
    tensors: _Tensors,
) -> tuple[_Tensors, _Tensors, dict[str, str]]:
    """Strip prefixes, translate HuggingFace's names, sort out heads."""
    named: _Tensors = {}
    ema: _Tensors = {}
    dropped: dict[str, str] = {}
    translate: Callable[[str], str | None] = _current_name
    prefix = prefix_of(tensors, FAIRSEQ_ANCHOR)
    if prefix is None:
        prefix = prefix_of(tensors, HUGGINGFACE_ANCHOR) or ""
        translate = fairseq_name
    for name, value in tensors.items():
        inner = name.removeprefix(prefix)
        theirs = translate(inner) if name.startswith(prefix) else None
        if inner.startswith(EMA):
            ema[inner.removeprefix(EMA)] = value
        elif theirs is not None:
            named[theirs] = value
        elif prefix and name.startswith(_TASK_HEADS):
            dropped[name] = "head of another task"
        else:
            named[name] = value  # unexpected: listed by the strict match
    return named, ema, dropped


def _current_name(name: str) -> str:
    # The released file wraps its last layer in a Sequential.
    return name.replace("final_proj.0.", "final_proj.")


def _teacher_names(sizes: Mapping[str, Any]) -> list[str]:
    return [
        published
        for name in expected_shapes(sizes)
        for published in published_names(name)
        if published.startswith("encoder.")
    ]


def _state(
    tensors: _Tensors, sizes: Mapping[str, Any], beginning: str, origin: object
) -> _Tensors:
    state = {}
    for name, shape in expected_shapes(sizes).items():
        published = published_names(name)
        if not published[0].startswith(beginning):
            continue
        if name in TRAINING_ONLY and published[0] not in tensors:
            continue
        value = finite_floats(stack(tensors, name), published[0], origin)
        state[name] = value.reshape(shape)
    return state


def _check_config(
    sizes: dict[str, Any], config: Mapping[str, Any], origin: object
) -> None:
    pairs = {
        "hidden_size": "embed_dim",
        "encoder_embed_dim": "embed_dim",
        "num_attention_heads": "num_heads",
        "encoder_attention_heads": "num_heads",
        "num_hidden_layers": "depth",
        "encoder_layers": "depth",
    }
    for theirs, ours in pairs.items():
        said = config.get(theirs)
        if said is not None and (type(said) is not int or said < 1):
            raise ValueError(
                f"{origin}: {theirs} is {shown(said)} in the config: not a "
                "positive whole number."
            )
        if ours == "num_heads" and said and sizes["embed_dim"] % said == 0:
            sizes[ours] = said  # tensors cannot tell
        elif said is not None and said != sizes[ours]:
            raise ValueError(
                f"{origin}: {theirs} is {said} in the config, but the tensors "
                f"say {sizes[ours]}: get both from one place."
            )
