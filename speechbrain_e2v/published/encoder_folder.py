"""Encoder folders: weights, sizes and origin, readable by people and tools.

A folder holds ``encoder.safetensors``, ``encoder.yaml`` (sizes, plain yaml),
``card.json`` (origin, corpora heard in training) and a README made of them.
Nothing in it is code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.state_dict_check import (
    check_state,
    read_safetensors,
)

WEIGHTS, SIZES, CARD = "encoder.safetensors", "encoder.yaml", "card.json"


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 of names, shapes and values of parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_encoder(
    folder: str | Path, encoder: Emotion2vecEncoder, card: Mapping[str, Any]
) -> Path:
    """Write an encoder folder; each file appears whole or not at all.

    The card holds what a reader should know: ``origin``, ``pretraining``
    (corpora and hours), ``finetuning``, ``updates``, ``licence``, ...

    >>> import tempfile
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
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in encoder.state_dict().items()
    }
    card = {
        **card,
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "weights_sha256": weights_digest(encoder),
    }
    files = {
        WEIGHTS: save(state),
        SIZES: yaml.safe_dump(encoder.config, sort_keys=False).encode(),
        CARD: json.dumps(card, indent=1, ensure_ascii=False).encode(),
        "README.md": _readme(card).encode(),
    }
    for name, content in files.items():
        temporary = folder / f".{name}.tmp"
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)
    return folder


def load_encoder(folder: str | Path) -> Emotion2vecEncoder:
    """Read an encoder folder, in evaluation mode.

    FileNotFoundError when one of its files is missing, ValueError when sizes
    and weights do not fit each other, name by name.
    """
    folder = Path(folder)
    for name in (SIZES, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} is no encoder folder: {name} is missing. Give the "
                "`encoder` folder that pre-training wrote."
            )
    try:
        config = yaml.safe_load((folder / SIZES).read_text("utf-8"))
        encoder = Emotion2vecEncoder(**config)
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(
            f"{folder / SIZES} does not describe an encoder: {error}"
        ) from error
    state = read_safetensors(folder / WEIGHTS)
    check_state(encoder, state, folder / WEIGHTS)
    encoder.load_state_dict(state)
    return encoder.eval()


def read_card(folder: str | Path) -> dict[str, Any]:
    """Return the card of an encoder folder as a dict, empty without one."""
    path = Path(folder) / CARD
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _readme(card: Mapping[str, Any]) -> str:
    lines = [f"| {key} | {_cell(value)} |" for key, value in card.items()]
    return (
        "# emotion2vec encoder\n\nLoad it with "
        "`speechbrain_e2v.published.encoder_folder.load_encoder(folder)`.\n\n"
        "| | |\n|---|---|\n" + "\n".join(lines) + "\n"
    )


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "<br>".join(map(str, value))
    if not isinstance(value, dict):
        return value
    return ", ".join(
        str(key) if item is None else f"{key}: {_cell(item)}"
        for key, item in value.items()
    )
