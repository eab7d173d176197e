"""From published emotion2vec / data2vec 2.0 tensors to states of our modules.

Every tensor is accounted for: encoder, decoder, teacher or head. One that is
none of them fails the load.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.checkpoint import (
    EMA,
    Published,
    finite_floats,
    prefix_of,
)
from speechbrain_e2v.published.emotion2vec_names import (
    AUDIO,
    published_parameters,
)
from speechbrain_e2v.published.emotion2vec_sizes import (
    agree_with_config,
    decoder_sizes,
    encoder_sizes,
)
from speechbrain_e2v.published.head import (
    NINE_TOKENS,
    Label,
    PublishedHead,
    read_labels,
    read_tokens,
)
from speechbrain_e2v.published.sizes import checked_sizes
from speechbrain_e2v.published.state_dict_check import demand_match

ANCHOR = f"{AUDIO}.local_encoder.conv_layers.0.0.weight"
"""The tensor that tells an emotion2vec / data2vec 2.0 audio model."""

_DECODER = f"{AUDIO}.decoder."
_HEAD = ("proj.weight", "proj.bias")
_Tensors = dict[str, torch.Tensor]
# Published name -> our name and the published shape.
_Expected = Mapping[str, tuple[str, tuple[int, ...]]]


def read_emotion2vec(
    tensors: _Tensors,
    config: dict[str, Any] | None,
    origin: object,
    tokens: Path | None = None,
) -> Published:
    """Translate the tensors of one published file.

    They have published names, with or without a common prefix
    (``d2v_model.``); `config` is its part on the model. Raises ValueError
    with what is missing, unexpected, mis-shaped or not finite.
    """
    prefix = prefix_of(tensors, ANCHOR) or ""
    encoder, decoder, head, ema = {}, {}, {}, {}
    unexpected = {}
    for name, value in tensors.items():
        inner = name.removeprefix(prefix)
        if name in _HEAD or inner in _HEAD:
            head[inner] = value
        elif inner.startswith(EMA):
            ema[inner.removeprefix(EMA)] = value
        elif not name.startswith(prefix):
            unexpected[name] = tuple(value.shape)
        elif inner.startswith(_DECODER):
            decoder[inner] = value
        else:
            encoder[inner] = value
    encoder = _five_dimensional_scale(encoder)
    model = _meta_encoder(_shapes(encoder), config, origin)
    expected = published_parameters(
        model.state_dict(), model.config["prenet_depth"]
    )
    demand_match(
        {name: shape for name, (_, shape) in expected.items()},
        _shapes(encoder) | unexpected,
        origin,
    )
    notes = [f"names in the file begin with {shown(prefix)}"] if prefix else []
    found = Published(
        "funasr" if prefix or head else "fairseq",
        model.config,
        _take(encoder, expected, model, notes, origin),
        notes=notes,
    )
    if head:
        found.head = _head(head, model.embed_dim, tokens, notes, origin)
    if decoder:
        _take_decoder(decoder, found, origin)
    if ema:
        _take_teacher(_five_dimensional_scale(ema), model, found, origin)
    return found


def _shapes(tensors: _Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _meta_encoder(
    shapes: Mapping[str, tuple[int, ...]],
    config: dict[str, Any] | None,
    origin: object,
) -> Emotion2vecEncoder:
    sizes = encoder_sizes(shapes, origin)
    if config:
        sizes = agree_with_config(sizes, config, origin)
    with torch.device("meta"):
        return Emotion2vecEncoder(**checked_sizes(sizes, origin))


def _five_dimensional_scale(tensors: _Tensors) -> _Tensors:
    """Give the ALiBi scale of early files its layer dimension."""
    name = f"{AUDIO}.alibi_scale"
    if name in tensors and tensors[name].dim() == 4:
        return {**tensors, name: tensors[name].unsqueeze(0)}
    return tensors


def _take(
    tensors: _Tensors,
    expected: _Expected,
    module: torch.nn.Module,
    notes: list[str],
    origin: object,
) -> _Tensors:
    shapes = {name: v.shape for name, v in module.state_dict().items()}
    kinds = {str(tensors[name].dtype) for name in expected}
    if kinds != {"torch.float32"}:
        notes.append(f"stored as {', '.join(sorted(kinds))}, read as float32")
    state = {
        ours: finite_floats(tensors[name], name, origin).reshape(shapes[ours])
        for name, (ours, _) in expected.items()
    }
    for name, shape in shapes.items():
        if not shape.numel():  # no extra tokens
            state[name] = torch.empty(shape)
    return state


def _head(
    tensors: _Tensors,
    width: int,
    tokens: Path | None,
    notes: list[str],
    origin: object,
) -> PublishedHead:
    classes = tuple(next(iter(tensors.values())).shape[:1])
    expected = {"proj.weight": (*classes, width), "proj.bias": classes}
    demand_match(expected, _shapes(tensors), f"the head of {origin}")
    weight, bias = (finite_floats(tensors[n], n, origin) for n in _HEAD)
    return PublishedHead(weight, bias, _labels(tokens, len(bias), notes))


def _labels(
    tokens: Path | None, classes: int, notes: list[str]
) -> tuple[Label, ...]:
    if tokens is not None:
        labels = read_tokens(tokens)
        if len(labels) != classes:
            raise ValueError(
                f"{tokens} belongs to another model: the head has {classes} "
                f"outputs, but there are {len(labels)} labels."
            )
        return labels
    if classes == len(NINE_TOKENS):
        notes.append(
            "no tokens.txt: the nine published labels in their usual order"
        )
        return read_labels(NINE_TOKENS)
    notes.append("no tokens.txt: labels are numbered")
    return read_labels([f"class_{index}" for index in range(classes)])


def _take_decoder(tensors: _Tensors, found: Published, origin: object) -> None:
    shapes = _shapes(tensors)
    try:
        sizes = decoder_sizes(shapes, found.sizes["embed_dim"])
        with torch.device("meta"):
            module = ConvDecoder(**sizes)
        expected = published_parameters(module.state_dict(), 0, "decoder.")
        demand_match({n: s for n, (_, s) in expected.items()}, shapes, origin)
    except ValueError as error:
        # Inference never needs it, so another decoder is no reason to fail.
        found.dropped["decoder"] = (
            f"{len(tensors)} tensors of a decoder unlike ours ({error})"
        )
        return
    found.decoder = _take(tensors, expected, module, [], origin)
    found.decoder_sizes = sizes


def _take_teacher(
    tensors: _Tensors,
    model: Emotion2vecEncoder,
    found: Published,
    origin: object,
) -> None:
    context = model.context
    prenet = model.config["prenet_depth"]
    expected = published_parameters(context.state_dict(), prenet, "context.")
    if _shapes(tensors) != {n: shape for n, (_, shape) in expected.items()}:
        found.dropped["teacher"] = (
            f"{len(tensors)} tensors of a teacher whose parts are not the "
            "student's"
        )
        return
    found.teacher = _take(tensors, expected, context, [], origin)
