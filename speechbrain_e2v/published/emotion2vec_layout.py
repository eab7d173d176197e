"""From published emotion2vec / data2vec 2.0 tensors to states of our modules.

Every tensor is accounted for: encoder, decoder, teacher or head. One that is
none of them fails the load.
"""

from dataclasses import dataclass, field

import torch

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.emotion2vec_names import (
    AUDIO,
    published_parameters,
)
from speechbrain_e2v.published.emotion2vec_sizes import (
    agree_with_config,
    decoder_sizes,
    encoder_sizes,
)
from speechbrain_e2v.published.matching import demand_match
from speechbrain_e2v.published.stored_tensor import read_tensor

ANCHOR = f"{AUDIO}.local_encoder.conv_layers.0.0.weight"
"""The tensor that tells an emotion2vec / data2vec 2.0 audio model."""

_DECODER = f"{AUDIO}.decoder."
_HEAD = ("proj.weight", "proj.bias")
_EMA = "_ema."


@dataclass
class Weights:
    """States of our modules, as found in a published file.

    Arguments
    ---------
    family : str
        ``data2vec2`` (emotion2vec too) or ``data2vec1``.
    sizes : dict
        Arguments of the encoder's class.
    encoder : dict of str to torch.Tensor
        Under our names.
    decoder : dict or None
        Under our names.
    decoder_sizes : dict or None
    teacher : dict or None
        Names within the context encoder.
    head : (torch.Tensor, torch.Tensor) or None
        [C, D] and [C].
    dropped : dict of str to str
        What was left out, and why that is well.
    notes : list of str
        What a careful reader may want to know.
    """

    family: str
    sizes: dict
    encoder: dict
    decoder: dict | None = None
    decoder_sizes: dict | None = None
    teacher: dict | None = None
    head: tuple | None = None
    dropped: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def read_emotion2vec(tensors, ema, config, origin):
    """Translate the tensors of one published file.

    Arguments
    ---------
    tensors : dict of str to tensor
        Published names, with or without a common prefix (``d2v_model.``).
    ema : dict of str to tensor, or None
        The teacher's, names relative to it.
    config : dict or None
        The model's part of the config.
    origin : str or Path
        Named in errors.

    Returns
    -------
    Weights

    Raises
    ------
    ValueError
        Listing what is missing, unexpected, mis-shaped or not finite.
    """
    prefix = prefix_of(tensors, ANCHOR)
    encoder, decoder, head, unexpected = {}, {}, {}, {}
    ema = dict(ema or {})
    for name, value in tensors.items():
        inner = name.removeprefix(prefix)
        if name in _HEAD or inner in _HEAD:
            head[inner] = value
        elif not name.startswith(prefix):
            unexpected[name] = value
        elif inner.startswith(_EMA):
            ema[inner.removeprefix(_EMA)] = value
        elif inner.startswith(_DECODER):
            decoder[inner] = value
        else:
            encoder[inner] = value
    encoder = _five_dimensional_scale(encoder)
    ema = _five_dimensional_scale(ema)
    shapes = {name: tuple(value.shape) for name, value in encoder.items()}
    sizes = encoder_sizes(shapes, origin)
    if config:
        sizes = agree_with_config(sizes, config, origin)
    kernels, strides = len(sizes["conv_kernels"]), len(sizes["conv_strides"])
    if kernels != strides:
        raise ValueError(
            f"{origin} lacks tensors of the convolutions: there are {kernels} "
            f"of {strides} layers."
        )
    with torch.device("meta"):
        model = Emotion2vecEncoder(**sizes)
    expected = published_parameters(model.state_dict(), sizes["prenet_depth"])
    demand_match(
        {name: shape for name, (_, shape) in expected.items()},
        shapes | {name: tuple(v.shape) for name, v in unexpected.items()},
        origin,
    )
    weights = Weights("data2vec2", model.config, {})
    if prefix:
        weights.notes.append(f"names in the file begin with {prefix}")
    weights.encoder = _take(encoder, expected, model, weights.notes, origin)
    weights.head = _take_head(head, sizes["embed_dim"], origin)
    _take_decoder(decoder, weights, origin)
    _take_teacher(ema, model, weights, origin)
    return weights


def prefix_of(tensors, anchor):
    """Find what stands before an anchor's name, None without the anchor."""
    prefixes = [
        name.removesuffix(anchor)
        for name in tensors
        if name == anchor or name.endswith(f".{anchor}")
    ]
    return min(prefixes, key=len, default=None)


def finite_floats(value, name, origin):
    """Read a tensor as float32 and demand finite numbers."""
    value = read_tensor(value)
    if not value.is_floating_point():
        raise ValueError(f"{origin}: {name} holds {value.dtype}, not floats.")
    value = value.detach().to(torch.float32)
    if not value.is_meta and not value.isfinite().all():
        raise ValueError(
            f"{origin}: {name} holds numbers that are not finite: the file is "
            "damaged or its training had diverged."
        )
    return value


def _five_dimensional_scale(tensors):
    """Give the ALiBi scale of early files its layer dimension."""
    name = f"{AUDIO}.alibi_scale"
    if name in tensors and len(tensors[name].shape) == 4:
        scale = read_tensor(tensors[name]).unsqueeze(0)
        return {**tensors, name: scale}
    return tensors


def _take(tensors, expected, module, notes, origin):
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


def _take_head(head, width, origin):
    if not head:
        return None
    classes = tuple(next(iter(head.values())).shape[:1])
    expected = {"proj.weight": (*classes, width), "proj.bias": classes}
    found = {name: value.shape for name, value in head.items()}
    demand_match(expected, found, f"the head of {origin}")
    return tuple(finite_floats(head[name], name, origin) for name in _HEAD)


def _take_decoder(tensors, weights, origin):
    if not tensors:
        return
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    try:
        sizes = decoder_sizes(shapes, weights.sizes["embed_dim"])
        with torch.device("meta"):
            module = ConvDecoder(**sizes)
        expected = published_parameters(module.state_dict(), 0, "decoder.")
        demand_match({n: s for n, (_, s) in expected.items()}, shapes, origin)
    except ValueError as error:
        # Inference never needs it, so another decoder is no reason to fail.
        weights.dropped["decoder"] = (
            f"{len(tensors)} tensors of a decoder unlike ours ({error})"
        )
        return
    weights.decoder = _take(tensors, expected, module, [], origin)
    weights.decoder_sizes = sizes


def _take_teacher(tensors, model, weights, origin):
    if not tensors:
        return
    context = model.context
    prenet = model.config["prenet_depth"]
    expected = published_parameters(context.state_dict(), prenet, "context.")
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if found != {name: shape for name, (_, shape) in expected.items()}:
        weights.dropped["teacher"] = (
            f"{len(tensors)} tensors of a teacher whose parts are not the "
            "student's"
        )
        return
    weights.teacher = _take(tensors, expected, context, [], origin)
