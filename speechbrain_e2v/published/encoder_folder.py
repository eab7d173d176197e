"""Encoder folders: weights, sizes and origin, readable by people and tools.

A folder holds ``encoder.safetensors``, ``encoder.yaml`` (kind and sizes, plain
yaml), ``card.json`` (origin, corpora heard in training) and a README made of
them; where the encoder came with a classification head, that too. Nothing in it
is code, and the card has digests that are compared whenever it is loaded.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch
import yaml

from speechbrain_e2v.files.atomic import replaced_file
from speechbrain_e2v.files.documents import read_json, read_yaml
from speechbrain_e2v.files.foreign_text import (
    demand_plain_text,
    markdown_cell,
    without_local_folders,
)
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.head import Label, PublishedHead
from speechbrain_e2v.published.sizes import (
    build_encoder,
    sizes_of,
    sizes_schema,
)
from speechbrain_e2v.published.state_dict_check import (
    as_safetensors,
    demand_match,
    read_safetensors,
)

WEIGHTS, SIZES, CARD = "encoder.safetensors", "encoder.yaml", "card.json"
HEAD_WEIGHTS, HEAD_LABELS = "head.safetensors", "labels.json"
_WAY_OUT = "copy the encoder folder again from where it was written"


class _Card(msgspec.Struct):
    """What is read of a card; other keys are free."""

    name: str = ""
    labels: list[str] | None = None
    pretraining: dict[str, float | None] | None = None
    finetuning: dict[str, float | None] | None = None
    weights_sha256: str | None = None
    sizes_sha256: str | None = None
    head_sha256: str | None = None
    labels_sha256: str | None = None


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 of names, shapes and values of parameters and buffers."""
    return _digest(module.state_dict())


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def save_encoder(
    folder: str | Path,
    encoder: WaveformEncoder,
    card: Mapping[str, Any],
    head: PublishedHead | None = None,
) -> Path:
    """Write an encoder folder: all of its files, or none when one fails.

    The card holds what a reader should know: ``origin``, ``pretraining``
    (corpora and hours), ``finetuning``, ``updates``, ``licence``, ...

    >>> import tempfile
    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> folder = save_encoder(tempfile.mkdtemp(), encoder, {"origin": "test"})
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'card.json', 'encoder.safetensors', 'encoder.yaml']
    >>> weights_digest(load_encoder(folder)) == weights_digest(encoder)
    True
    """
    folder = Path(folder)
    sizes = sizes_of(encoder)
    card = {
        **card,
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "weights_sha256": weights_digest(encoder),
        "sizes_sha256": _values_digest(sizes),
    }
    # Opened in this order and renamed in the reverse one: the sizes, which
    # make a folder an encoder folder, come last.
    files = {
        SIZES: yaml.safe_dump(sizes, sort_keys=False).encode(),
        WEIGHTS: as_safetensors(encoder.state_dict()),
    }
    if head is not None:
        tensors = {"weight": head.weight, "bias": head.bias}
        rows = [asdict(label) for label in head.labels]
        card |= {
            "labels": head.ids,
            "head_sha256": _digest(tensors),
            "labels_sha256": _values_digest(rows),
        }
        files[HEAD_WEIGHTS] = as_safetensors(tensors)
        files[HEAD_LABELS] = _json(rows)
    files[CARD] = _json(card)
    files["README.md"] = _readme(card).encode()
    with contextlib.ExitStack() as stack:
        for name, content in files.items():
            file = stack.enter_context(replaced_file(folder / name))
            file.write_bytes(content)
    if head is None:  # an earlier encoder's
        for name in (HEAD_WEIGHTS, HEAD_LABELS):
            (folder / name).unlink(missing_ok=True)
    return folder


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def _values_digest(values: Any) -> str:
    """SHA-256 of sizes or labels, however their file spells them."""
    text = re.sub(r"\.0\b", "", json.dumps(values, sort_keys=True))
    return hashlib.sha256(text.encode()).hexdigest()


def load_encoder(folder: str | Path) -> WaveformEncoder:
    """Read an encoder folder, in evaluation mode.

    FileNotFoundError when one of its files is missing, ValueError when sizes
    and weights do not fit each other, name by name, or a file is not what the
    card's digest says.
    """
    folder = Path(folder)
    for name in (SIZES, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} is no encoder folder: {name} is missing. Give the "
                "`encoder` folder that pre-training wrote."
            )
    sizes = read_sizes(folder)
    state = read_safetensors(folder / WEIGHTS)
    card = read_card(folder)
    _demand_digest(folder / WEIGHTS, _digest(state), card, "weights_sha256")
    return build_encoder(sizes, state, folder / WEIGHTS)


def read_sizes(folder: str | Path) -> dict[str, Any]:
    """Read what an encoder is built of (`published.sizes`) from its folder."""
    path = Path(folder) / SIZES
    schema = sizes_schema(read_yaml(path, dict[str, Any]), path)
    sizes = msgspec.structs.asdict(read_yaml(path, schema, way_out=_WAY_OUT))
    found = _values_digest(sizes)
    _demand_digest(path, found, read_card(folder), "sizes_sha256")
    return sizes


def read_card(folder: str | Path) -> dict[str, Any]:
    """Return the card of an encoder folder, empty without one."""
    path = Path(folder) / CARD
    if not path.is_file():
        return {}
    read_json(path, _Card, way_out=_WAY_OUT)
    card = read_json(path, dict[str, Any], way_out=_WAY_OUT)
    demand_plain_text(card, path)
    return card


def load_head(folder: str | Path) -> PublishedHead | None:
    """Read the head of an encoder folder, None when it has none."""
    folder = Path(folder)
    path = folder / HEAD_WEIGHTS
    if not path.is_file():
        return None
    names = folder / HEAD_LABELS
    labels = read_json(names, list[Label], way_out=_WAY_OUT)
    rows = [asdict(label) for label in labels]
    demand_plain_text(rows, names)
    tensors, card = read_safetensors(path), read_card(folder)
    _demand_digest(path, _digest(tensors), card, "head_sha256")
    _demand_digest(names, _values_digest(rows), card, "labels_sha256")
    classes = len(labels)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    width = shapes.get("weight", (0, 0))[-1]
    expected = {"weight": (classes, width), "bias": (classes,)}
    demand_match(expected, shapes, path)
    return PublishedHead(tensors["weight"], tensors["bias"], tuple(labels))


def _demand_digest(
    path: Path, found: str, card: Mapping[str, Any], key: str
) -> None:
    expected = card.get(key)
    if expected is not None and found != expected:
        raise ValueError(
            f"{path} is not what was written: its content has the SHA-256 "
            f"{found[:12]}..., {CARD} says {key} {expected[:12]}...: "
            f"{_WAY_OUT}."
        )


def _readme(card: Mapping[str, Any]) -> str:
    hours = {
        key: {k: v and f"{v:.2f} h" for k, v in card[key].items()}
        for key in ("pretraining", "finetuning")
        if isinstance(card.get(key), dict)
    }
    shown = {**card, **hours}.items()
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in shown]
    return (
        "# emotion2vec encoder\n\nLoad it with "
        "`speechbrain_e2v.published.encoder_folder.load_encoder(folder)`.\n\n"
        "| | |\n|---|---|\n" + "\n".join(lines) + "\n"
    )


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "<br>".join(map(_cell, value))
    if isinstance(value, dict):
        return ", ".join(
            _cell(key) if item is None else f"{_cell(key)}: {_cell(item)}"
            for key, item in value.items()
        )
    if isinstance(value, float):
        return f"{value:.4g}"
    # Who published it need not say where his folders are.
    lines = without_local_folders(str(value)).strip().splitlines()
    return "<br>".join(map(markdown_cell, lines))
