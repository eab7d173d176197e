"""Vesper's first weights: some layers of its teacher's."""

from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.lobes.wavlm import WavLMEncoder
from speechbrain_e2v.pretraining.vesper.student import VesperStudent
from speechbrain_e2v.published.load import read_pretrained
from speechbrain_e2v.published.sizes import kind_of
from speechbrain_e2v.published.state_dict_check import check_state

STYLES = ("uniform_extract", "uniform_average", "identity_mapping")
RANDOM = "random"
_BLOCKS = "context.blocks."

Style = str | Sequence[int | Sequence[int]]


def layer_sources(style: Style, depth: int, of: int) -> list[list[int]]:
    """Tell of which layers of the source each new one is the mean.

    Counted from 0. Styles are the released code's; a list names a layer for
    each new one, or the first and the last of some. ValueError for others.

    >>> layer_sources("uniform_extract", 4, 24)
    [[0], [6], [12], [18]]
    >>> layer_sources([[0, 1], [2, 4]], 2, 5)
    [[0, 1], [2, 3, 4]]
    """
    if isinstance(style, str):
        if style not in STYLES:
            raise ValueError(
                f"init_style is {style!r}: choose one of {STYLES}, {RANDOM!r} "
                "or a list of layers"
            )
        if style == "identity_mapping":
            found = [[layer] for layer in range(depth)]
        else:
            step = of // depth
            each = 1 if style == "uniform_extract" else step
            found = [
                [layer * step + i for i in range(each)]
                for layer in range(depth)
            ]
    else:
        found = [
            [entry]
            if isinstance(entry, int)
            else list(range(entry[0], entry[-1] + 1))
            for entry in style
        ]
    flat = [layer for layers in found for layer in layers]
    if (
        len(found) != depth
        or not all(found)
        or not all(0 <= layer < of for layer in flat)
    ):
        raise ValueError(
            f"init_style is {style}: {depth} new layers are to be made of 0 to "
            f"{of - 1}"
        )
    return found


def initialise_vesper(
    student: VesperStudent, source: str | Path | None, style: Style
) -> str:
    """Start a student from a WavLM; says what was taken, with its SHA-256.

    `source` is anything that `load_pretrained` accepts, None for random
    weights. With the style "random", and of an encoder of another kind, the
    front end is taken, which stays frozen, and the blocks stay random.
    ValueError with every tensor when sizes differ; nothing has changed then.
    """
    if source is None:
        return "random weights"
    model = read_pretrained(source)
    encoder, theirs = student.encoder, model.encoder
    old = theirs.state_dict()
    if style != RANDOM and isinstance(theirs, WavLMEncoder):
        depth, of = encoder.config["depth"], theirs.config["depth"]
        sources = layer_sources(style, depth, of)
        state = {k: v for k, v in old.items() if not k.startswith(_BLOCKS)}
        names = [
            name.removeprefix(f"{_BLOCKS}0.")
            for name in old
            if name.startswith(f"{_BLOCKS}0.")
        ]
        for layer, layers in enumerate(sources):
            for name in names:
                parts = [old[f"{_BLOCKS}{i}.{name}"] for i in layers]
                mean = torch.stack(parts).mean(0)
                state[f"{_BLOCKS}{layer}.{name}"] = mean
        check_state(encoder, state, source)
        taken = f"layers {_shown(sources)} of {source}"
    else:
        own = encoder.state_dict()
        parts_taken = ("frontend.", "projection.")
        state = {
            name: value
            for name, value in own.items()
            if not name.startswith(parts_taken)
        } | {k: v for k, v in old.items() if k.startswith(parts_taken)}
        check_state(encoder, state, source)
        kind = kind_of(theirs)
        taken = f"front end of {source} ({kind}), the blocks are random"
    encoder.load_state_dict(state)
    if model.weights_file is not None:
        taken += f"; SHA-256 {file_sha256(model.weights_file)}"
    return taken


def _shown(sources: list[list[int]]) -> str:
    return ", ".join(
        str(x[0]) if len(x) == 1 else f"{x[0]} to {x[-1]}" for x in sources
    )
