"""From published data2vec v1 audio tensors to a state under our names."""

from speechbrain_e2v.published.data2vec1_names import (
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
from speechbrain_e2v.published.emotion2vec_layout import (
    Weights,
    finite_floats,
    prefix_of,
)

_EMA = "_ema."
_TASK_HEADS = (
    "classifier.",
    "layer_weights",
    "lm_head.",
    "projector.",
    "w2v_encoder.proj.",
)


def read_data2vec1(tensors, ema, config, origin):
    """Translate the tensors of a data2vec v1 file, fairseq's or HuggingFace's.

    Arguments
    ---------
    tensors : dict of str to tensor
    ema : dict of str to tensor, or None
        The teacher's, names relative to fairseq's encoder.
    config : dict or None
        Of HuggingFace's ``config.json`` or fairseq's model part.
    origin : str or Path

    Returns
    -------
    Weights

    Raises
    ------
    ValueError
        When a tensor is missing, unexpected, mis-shaped or not finite, or
        the config is of another model.
    """
    tensors, ema, dropped = _fairseq_names(tensors, dict(ema or {}), origin)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    sizes = model_sizes(shapes, origin)
    _check_config(sizes, config or {}, origin)
    demand_every_tensor(shapes, sizes, origin)
    state = _state(tensors, sizes, "", origin)
    weights = Weights("data2vec1", sizes, state, dropped=dropped)
    if ema:
        prefixed = {f"encoder.{name}": value for name, value in ema.items()}
        teacher = _teacher_names(sizes)
        found = {name: tuple(v.shape) for name, v in prefixed.items()}
        if found == {name: shapes[name] for name in teacher}:
            weights.teacher = _state(prefixed, sizes, "encoder.", origin)
        else:
            weights.dropped["teacher"] = (
                f"{len(ema)} tensors of a teacher whose parts are not the "
                "student's"
            )
    return weights


def _fairseq_names(tensors, ema, origin):
    """Strip prefixes, translate HuggingFace's names, sort out heads."""
    dropped, named = {}, {}
    prefix = prefix_of(tensors, FAIRSEQ_ANCHOR)
    if prefix is None:
        prefix = prefix_of(tensors, HUGGINGFACE_ANCHOR)
        translate = fairseq_name
    else:
        translate = _current_name
    for name, value in tensors.items():
        inner = name.removeprefix(prefix)
        if inner.startswith(_EMA):
            ema[inner.removeprefix(_EMA)] = value
        elif name.startswith(prefix) and translate(inner) is not None:
            named[translate(inner)] = value
        elif prefix and name.startswith(_TASK_HEADS):
            dropped[name] = "head of another task"
        else:
            named[name] = value  # unexpected: listed by the strict match
    return named, ema, dropped


def _current_name(name):
    # The released file wraps its last layer in a Sequential.
    return name.replace("final_proj.0.", "final_proj.")


def _teacher_names(sizes):
    return [
        published
        for name in expected_shapes(sizes)
        for published in published_names(name)
        if published.startswith("encoder.")
    ]


def _state(tensors, sizes, beginning, origin):
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


def _check_config(sizes, config, origin):
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
        if ours == "num_heads" and said:
            sizes[ours] = said  # tensors cannot tell
        elif said is not None and said != sizes[ours]:
            raise ValueError(
                f"{origin}: {theirs} is {said} in the config, but the tensors "
                f"say {sizes[ours]}: get both from one place."
            )
