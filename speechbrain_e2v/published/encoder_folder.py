"""Encoder folders: weights, sizes and origin, readable by people and tools.

A folder holds ``encoder.safetensors``, ``encoder.yaml`` (sizes, plain yaml),
``card.json`` (origin, corpora heard in training) and a README made of them.
Nothing in it is code.
"""

import hashlib
import json
import os
from pathlib import Path

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.matching import demand_match

WEIGHTS, SIZES, CARD = "encoder.safetensors", "encoder.yaml", "card.json"


def weights_digest(module):
    """Hash names, shapes and values of a module's parameters and buffers.

    Arguments
    ---------
    module : torch.nn.Module

    Returns
    -------
    str
        SHA-256, hexadecimal.

    Example
    -------
    >>> import torch
    >>> len(weights_digest(torch.nn.Linear(2, 3)))
    64
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_encoder(folder, encoder, card):
    """Write an encoder folder; each file appears whole or not at all.

    Arguments
    ---------
    folder : str or Path
    encoder : Emotion2vecEncoder
    card : dict
        What a reader should know: ``origin``, ``pretraining`` (corpora and
        hours), ``finetuning`` (corpora), ``updates``, ``licence``, ...

    Returns
    -------
    Path

    Example
    -------
    >>> import tempfile
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> folder = save_encoder(tempfile.mkdtemp(), encoder, {"origin": "test"})
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'card.json', 'encoder.safetensors', 'encoder.yaml']
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


def load_encoder(folder):
    """Read an encoder folder.

    Arguments
    ---------
    folder : str or Path

    Returns
    -------
    Emotion2vecEncoder
        In evaluation mode.

    Raises
    ------
    FileNotFoundError
        When the folder or one of its files is missing.
    ValueError
        When sizes and weights do not fit each other, name by name.

    Example
    -------
    >>> import tempfile
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> folder = save_encoder(tempfile.mkdtemp(), encoder, {})
    >>> weights_digest(load_encoder(folder)) == weights_digest(encoder)
    True
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
    try:
        state = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(
            f"{folder / WEIGHTS} is not a whole safetensors file ({error}): "
            "copy or write it again."
        ) from error
    check_state(encoder, state, folder / WEIGHTS)
    encoder.load_state_dict(state)
    return encoder.eval()


def read_card(folder):
    """Return the card of an encoder folder as a dict, empty without one."""
    path = Path(folder) / CARD
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def check_state(module, state, origin):
    """Demand that a state dict fits a module in every name and shape.

    Arguments
    ---------
    module : torch.nn.Module
    state : dict of str to torch.Tensor
    origin : str or Path
        Named in the error.

    Raises
    ------
    ValueError
        Listing what is missing, unexpected and mis-shaped.
    """
    expected = {name: v.shape for name, v in module.state_dict().items()}
    found = {name: v.shape for name, v in state.items()}
    demand_match(expected, found, origin)


def _readme(card):
    lines = [f"| {key} | {_cell(value)} |" for key, value in card.items()]
    return (
        "# emotion2vec encoder\n\nLoad it with "
        "`speechbrain_e2v.published.encoder_folder.load_encoder(folder)`.\n\n"
        "| | |\n|---|---|\n" + "\n".join(lines) + "\n"
    )


def _cell(value):
    if isinstance(value, list):
        return "<br>".join(map(str, value))
    if not isinstance(value, dict):
        return value
    return ", ".join(
        str(key) if item is None else f"{key}: {_cell(item)}"
        for key, item in value.items()
    )
