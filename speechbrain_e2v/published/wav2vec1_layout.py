"""From fairseq's files of wav2vec and vq-wav2vec to our net.

Parameters have the published names; sizes are read off their shapes.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from speechbrain_e2v.lobes.wav2vec1 import (
    EXTRACTOR,
    GumbelQuantiser,
    KMeansQuantiser,
    Wav2vec1,
)
from speechbrain_e2v.published.checkpoint import finite_floats
from speechbrain_e2v.published.read import find_files, read_files
from speechbrain_e2v.published.state_dict_check import check_state

_PREDICTION = "wav2vec_predictions."
_EXTRACTOR = r"feature_extractor\.conv_layers\.(\d+)\.0\.weight"
_AGGREGATOR = r"feature_aggregator\.conv_layers\.(\d+)\.1\.weight"
_MOST_LAYERS = 50
_MOST_CHANNELS = 4096


def read_wav2vec1(path: str | Path) -> tuple[Wav2vec1, int]:
    """Read a published net, in evaluation mode, and its file's parameters.

    The file counts the head of the contrastive step, which features do not
    need. Raises FileNotFoundError, or ValueError for another kind of file, a
    missing, unexpected or mis-shaped tensor.
    """
    files = find_files(path)
    tensors, config, _ = read_files(files)
    state = {
        name: finite_floats(value, name, files.weights)
        for name, value in tensors.items()
        if not name.startswith(_PREDICTION)
    }
    config = config or {}
    part = config.get("model")
    if isinstance(part, dict):
        config = part
    with torch.device("meta"):
        check_state(_net(state, config, files.weights), state, files.weights)
    with torch.random.fork_rng(devices=[]):  # loading changes no seed
        net = _net(state, config, files.weights)
    net.load_state_dict(state)
    return net.eval(), sum(value.numel() for value in tensors.values())


def _net(
    state: Mapping[str, torch.Tensor], config: Mapping[str, Any], origin: Path
) -> Wav2vec1:
    kernels = _kernels(state, _EXTRACTOR, origin)
    layers = (*EXTRACTOR, (1, 1))[: len(kernels)]
    if kernels != [kernel for kernel, _ in layers]:
        raise ValueError(
            f"{origin} is not wav2vec or vq-wav2vec as published: the kernels "
            f"of its extractor are {kernels}"
        )
    width = state["feature_extractor.conv_layers.0.0.weight"].shape[0]
    quantiser = _quantiser(state, width, origin)
    plain = quantiser is None
    activation = config.get("activation", "relu" if plain else "gelu")
    if activation not in ("relu", "gelu"):
        raise ValueError(f"{origin}: activation is {activation!r}, not known")
    return Wav2vec1(
        width,
        layers,
        _kernels(state, _AGGREGATOR, origin),
        nn.ReLU if activation == "relu" else nn.GELU,
        bool(config.get("log_compression", plain)),
        quantiser,
    )


def _kernels(
    state: Mapping[str, torch.Tensor], pattern: str, origin: Path
) -> list[int]:
    """Kernels of convolutions in order, within bounds."""
    found = {}
    for name, value in state.items():
        match = re.fullmatch(pattern, name)
        if match and value.dim() == 3 and max(value.shape) <= _MOST_CHANNELS:
            found[int(match[1][:7])] = value.shape[2]
    if not found or len(found) > _MOST_LAYERS:
        raise ValueError(
            f"{origin} is no file of wav2vec or vq-wav2vec: it has "
            f"{len(found)} convolutions of the published names"
        )
    return [found[index] for index in sorted(found)]


def _quantiser(
    state: Mapping[str, torch.Tensor], width: int, origin: Path
) -> nn.Module | None:
    prefix = "vector_quantizer."
    shapes = {
        name.removeprefix(prefix): list(value.shape)
        for name, value in state.items()
        if name.startswith(prefix)
    }
    try:
        if "vars" in shapes:
            _, rows, channels = shapes["vars"]
            layers = [n for n in shapes if n.endswith("weight")]
            groups = width // channels
            last = shapes[sorted(layers)[-1]][0]
            entries = last // groups
            shared = rows == entries
            first = shapes.get("weight_proj.0.0.weight", [width])[0]
            return GumbelQuantiser(
                width, groups, entries, len(layers), shared, first // width
            )
        if "embedding" in shapes:
            entries, groups, channels = shapes["embedding"]
            own = width // channels
            return KMeansQuantiser(width, own, entries, shared=groups != own)
    except (ValueError, IndexError, ZeroDivisionError):
        raise ValueError(
            f"{origin}: the quantiser has impossible shapes"
        ) from None
    return None
