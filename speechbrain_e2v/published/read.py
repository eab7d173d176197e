"""Reading published checkpoints: data2vec 2.0, emotion2vec, data2vec v1.

Layouts: fairseq's, FunASR's folders, HuggingFace's. None of these packages is
needed, and nothing in a file is run.
"""

from pathlib import Path
from typing import Any

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.published.checkpoint import Published, prefix_of
from speechbrain_e2v.published.data2vec1_layout import read_data2vec1
from speechbrain_e2v.published.data2vec1_names import (
    FAIRSEQ_ANCHOR,
    HUGGINGFACE_ANCHOR,
)
from speechbrain_e2v.published.emotion2vec_layout import (
    ANCHOR,
    read_emotion2vec,
)
from speechbrain_e2v.published.files import find_files, read_files

_READERS = {
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
            f"2.0 audio, data2vec audio): its tensors are {some}, ... If it "
            "is a checkpoint of a pre-training run here, give the run's "
            "`encoder` folder."
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
