"""Reading published checkpoints: emotion2vec, data2vec 2.0 and v1, WavLM.

Layouts: fairseq's, FunASR's folders, HuggingFace's. None of these packages is
needed, and nothing in a file is run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.files.documents import read_json, read_yaml
from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.published.checkpoint import EMA, Published, prefix_of
from speechbrain_e2v.published.data2vec1_layout import read_data2vec1
from speechbrain_e2v.published.data2vec1_names import (
    FAIRSEQ_ANCHOR,
    HUGGINGFACE_ANCHOR,
)
from speechbrain_e2v.published.emotion2vec_layout import (
    ANCHOR,
    read_emotion2vec,
)
from speechbrain_e2v.published.state_dict_check import read_safetensors
from speechbrain_e2v.published.to_container import to_container
from speechbrain_e2v.published.torch_file import load_torch_file
from speechbrain_e2v.published.wavlm_layout import (
    HUGGINGFACE_GATE,
    RELEASED_GATE,
    read_wavlm,
)

Tensors = dict[str, torch.Tensor]

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
_READERS = {  # a gate before the front end, which others have, too
    RELEASED_GATE: read_wavlm,
    HUGGINGFACE_GATE: read_wavlm,
    ANCHOR: read_emotion2vec,
    FAIRSEQ_ANCHOR: read_data2vec1,
    HUGGINGFACE_ANCHOR: read_data2vec1,
}


def read_published(path: str | Path) -> Published:
    """Read ``.pt``, ``.bin``, ``.safetensors`` or a folder with one of them.

    Raises FileNotFoundError when there is no such thing, ValueError when the
    file is refused, damaged, of an unknown kind, or has missing, unexpected
    or mis-shaped tensors.
    """
    files = find_files(path)
    tensors, config, dropped = read_files(files)
    origin: object = files.weights
    if files.config is not None:
        origin = f"{origin} (with {files.config.name})"
    read = next(
        (
            reader
            for anchor, reader in _READERS.items()
            if prefix_of(tensors, anchor) is not None
        ),
        None,
    )
    if read is None:
        some = ", ".join(map(shown, list(tensors)[:5]))
        raise ValueError(
            f"{origin} is none of the known layouts (emotion2vec, data2vec "
            "2.0 audio, data2vec audio, WavLM large): its tensors are "
            f"{some}, ... If it is a checkpoint of a pre-training run here, "
            "give the run's `encoder` folder."
        )
    published = read(tensors, _model_part(config), origin, files.tokens)
    _demand_normalised_audio(config or {}, origin)
    published.dropped = dropped | published.dropped
    published.config, published.weights_file = config, files.weights
    return published


def _model_part(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Find the model's settings in what fairseq, FunASR or HF wrote."""
    for key in ("model_conf", "model"):
        part = (config or {}).get(key)
        if isinstance(part, dict):
            return part
    return config


def _demand_normalised_audio(config: dict[str, Any], origin: object) -> None:
    for part in (config, config.get("task"), config.get("model_conf")):
        if isinstance(part, dict) and part.get("normalize") is False:
            raise ValueError(
                f"{origin} was trained on audio that is not normalised "
                "(normalize: false); here every waveform is normalised, so "
                "its features would be wrong. No published audio model is so."
            )


@dataclass(frozen=True)
class Files:
    """Paths that belong together; only the weights are always there."""

    weights: Path
    config: Path | None = None
    tokens: Path | None = None


def find_files(path: str | Path) -> Files:
    """Find the weights in a published folder, or take the file given.

    Raises FileNotFoundError without weights, ValueError with several.
    """
    path = Path(path)
    if not path.is_file() and not path.is_dir():  # a pipe would never end
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


def _weights_in(folder: Path) -> Path:
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


def _first_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    found = [folder / name for name in names if (folder / name).is_file()]
    return found[0] if found else None


def read_files(
    files: Files,
) -> tuple[Tensors, dict[str, Any] | None, dict[str, str]]:
    """Read tensors by name, the plain config, and what else lay around them.

    The teacher's tensors are named ``_ema.`` and their name. Raises
    ValueError when there are no tensors, or the file is refused.
    """
    config = _read_config(files.config) if files.config else None
    if files.weights.suffix == ".safetensors":
        return read_safetensors(files.weights), config, {}
    content, origin = load_torch_file(files.weights), files.weights
    if not isinstance(content, dict):
        raise ValueError(
            f"{origin} holds a {type(content).__name__}, not the weights of a "
            "model: a dictionary of named tensors is expected."
        )
    content = dict(dict.items(content))  # an OrderedDict's own may be hidden
    wrapper = next(
        (key for key in _WRAPPERS if isinstance(content.get(key), dict)), None
    )
    dropped: dict[str, str] = {}
    if wrapper is None:
        return _flat(content, origin), config, dropped
    for key, value in content.items():
        if key not in (wrapper, *_CONFIGS) and not _is_empty(value):
            dropped[str(key)] = _KNOWN_PARTS.get(key, "not part of the model")
    inside = [content.get(key) for key in _CONFIGS]
    filled = [value for value in inside if not _is_empty(value)]
    if config is None and filled:
        try:
            plain = to_container(filled[0])
        except ValueError as error:
            raise ValueError(f"{origin}: {error}") from None
        config = plain if isinstance(plain, dict) else None
    return _flat(content[wrapper], origin), config, dropped


def _flat(state: dict, origin: Path) -> Tensors:
    state = dict(dict.items(state))
    teacher = state.pop("_ema", None)
    teacher = {} if teacher is None else teacher
    if not isinstance(teacher, dict) or not all(
        isinstance(value, torch.Tensor) for value in dict.values(teacher)
    ):
        raise ValueError(f"{origin}: the teacher (_ema) is no set of tensors.")
    teacher = dict(dict.items(teacher))
    odd = [
        shown(name)
        for name, value in state.items()
        if not (isinstance(name, str) and isinstance(value, torch.Tensor))
    ]
    if odd or not state:
        raise ValueError(
            f"{origin} holds no state of a model: "
            + (f"{odd[:5]} are no tensors." if odd else "there are no tensors.")
        )
    tensors = state | {f"{EMA}{n}": value for n, value in teacher.items()}
    needed = sum(v.numel() * v.itemsize for v in tensors.values())
    size = origin.stat().st_size
    if needed > 2 * size:
        raise ValueError(
            f"{origin} has {size:,} bytes, but tensors of {needed:,} that "
            "share them: this is no published checkpoint."
        )
    return tensors


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, (dict, list)) and not value)


def _read_config(path: Path) -> dict[str, Any]:
    read = read_json if path.suffix == ".json" else read_yaml
    return read(path, dict[str, Any], way_out="get it from its origin")
