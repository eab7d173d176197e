"""Which file of a folder holds the weights, and what lies around them."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file

from speechbrain_e2v.published.stored_tensor import (
    BrokenCheckpoint,
    is_tensor,
)
from speechbrain_e2v.published.to_container import plain
from speechbrain_e2v.published.torch_file import open_checkpoint

_WRAPPERS = ("model", "state_dict", "model_state_dict")
_CONFIGS = ("cfg", "args")
_KNOWN_PARTS = {
    "criterion": "settings of the loss",
    "epoch": "state of the trainer",
    "extra_state": "state of the trainer",
    "last_optimizer_state": "optimizer state",
    "lr_scheduler": "state of the trainer",
    "optimizer": "optimizer state",
    "optimizer_history": "settings of the optimizer",
    "optimizers": "optimizer state",
    "scaler_state": "state of the trainer",
    "scheduler": "state of the trainer",
    "task_state": "state of the task",
}
_WEIGHTS = (
    "model.pt",
    "model.safetensors",
    "pytorch_model.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
)


@dataclass(frozen=True)
class Files:
    """Paths that belong together; only the weights are always there."""

    weights: Path
    config: Path | None = None
    tokens: Path | None = None


@dataclass
class Content:
    """What a weights file holds, its tensors perhaps still unread.

    Arguments
    ---------
    tensors : dict of str to tensor
    ema : dict of str to tensor, or None
    config : dict or None
        Plain.
    dropped : dict of str to str
    """

    tensors: dict
    ema: dict | None
    config: dict | None
    dropped: dict


def find_files(path):
    """Find the weights in a published folder, or take the file given.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    Files

    Raises
    ------
    FileNotFoundError
        When there is nothing of the kind.
    ValueError
        When there are several candidates.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if path.is_dir():
        weights, folder = _weights_in(path), path
    else:
        weights, folder = path, path.parent
        if path.name not in _WEIGHTS:
            return Files(weights)  # config.yaml beside it may be another's
    return Files(
        weights,
        _first_file(folder, ("config.yaml", "config.json")),
        _first_file(folder, ("tokens.txt", "tokens.json")),
    )


def _weights_in(folder):
    for pattern in _WEIGHTS:
        found = sorted(p for p in folder.glob(pattern) if p.is_file())
        if len(found) > 1:
            raise ValueError(
                f"{folder} holds several checkpoints "
                f"({', '.join(p.name for p in found)}): name one of them."
            )
        if found:
            return found[0]
    raise FileNotFoundError(
        f"{folder} holds no weights: expected an encoder folder "
        f"(encoder.yaml) or one of {', '.join(_WEIGHTS)}."
    )


def _first_file(folder, names):
    found = [folder / name for name in names if (folder / name).is_file()]
    return found[0] if found else None


@contextmanager
def open_weights(files):
    """Open a weights file; its tensors can be read while it is open.

    Arguments
    ---------
    files : Files

    Yields
    ------
    Content

    Raises
    ------
    ValueError
        When it holds no tensors, or is refused (see torch_files).
    """
    config = _read_config(files.config) if files.config else None
    if files.weights.suffix == ".safetensors":
        try:
            tensors = load_file(files.weights)
        except SafetensorError as error:
            raise BrokenCheckpoint(
                f"{files.weights} is not a whole safetensors file ({error}): "
                "copy or download it again."
            ) from error
        yield Content(tensors, None, config, {})
        return
    with open_checkpoint(files.weights) as content:
        yield _unwrap(content, config, files.weights)


def _unwrap(content, config, origin):
    if not isinstance(content, dict):
        raise ValueError(
            f"{origin} holds a {type(content).__name__}, not the weights of a "
            "model: a dictionary of named tensors is expected."
        )
    wrapper = next(
        (key for key in _WRAPPERS if isinstance(content.get(key), dict)), None
    )
    dropped = {}
    state = content
    if wrapper:
        state = content[wrapper]
        for key, value in content.items():
            if key not in (wrapper, *_CONFIGS) and not _is_empty(value):
                what = _KNOWN_PARTS.get(key, "not part of the model")
                dropped[str(key)] = what
        inside = [content[key] for key in _CONFIGS if content.get(key)]
        if config is None and inside:
            config = plain(inside[0])
    ema = state.get("_ema")
    tensors = {
        name: value
        for name, value in state.items()
        if isinstance(name, str) and is_tensor(value)
    }
    odd = [str(name) for name in state if name not in {*tensors, "_ema"}]
    if odd or not tensors:
        raise ValueError(
            f"{origin} holds no state of a model: "
            + (f"{odd[:5]} are no tensors." if odd else "there are no tensors.")
        )
    if ema is not None and not (
        isinstance(ema, dict) and all(is_tensor(v) for v in ema.values())
    ):
        raise ValueError(f"{origin}: the teacher (_ema) is no set of tensors.")
    return Content(tensors, ema, config, dropped)


def _is_empty(value):
    return value is None or (isinstance(value, (dict, list)) and not value)


def _read_config(path):
    text = path.read_text("utf-8-sig")
    try:
        config = (
            json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        )
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no settings.")
    return config
