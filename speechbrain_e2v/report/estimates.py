"""What a plan costs: minutes by its multiplications, bytes of its features."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import torch

from speechbrain_e2v.corpora.audio_info import audio_infos
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.files.documents import read_yaml
from speechbrain_e2v.lobes.lengths import (
    CONV_KERNELS,
    CONV_STRIDES,
    SAMPLE_RATE,
)
from speechbrain_e2v.published.load import read_sizes
from speechbrain_e2v.report.recipe_jobs import FLOORS
from speechbrain_e2v.report.table_cells import Cell

_HIDDEN = 256  # of the probe
_EPOCHS = 100
_TRAINED = 0.8  # of the utterances, in a fold
_PASSES = 2  # of a training step: forward, and the weights' gradient
_FLOAT = 4  # bytes
_ON_FRAMES = ("linear", "linear_strict", "random_linear", "weighted")
"""Yaml files whose head sees every frame in every epoch."""


class Sizes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Of an upstream; see ``upstream_sizes.yaml``."""

    dim: int
    states: int
    rate: int
    millions: float
    window: float = 0.0  # seconds
    channels: int = 512  # of the convolutions


@dataclass(frozen=True)
class Cost:
    """Of a job: multiply-adds of features and of training, bytes written.

    ``features`` names what other jobs of the same features need not do again.
    """

    features: tuple[str, ...]
    extraction: float
    training: float
    feature_bytes: int


def upstream_sizes(name: str) -> Sizes | None:
    """Sizes of an upstream, None where nothing is known.

    >>> upstream_sizes("wavlm-large").dim
    1024
    """
    return _sizes().get(name)


def job_cost(
    cell: Cell, length: tuple[int, float], epochs: int | None
) -> Cost | None:
    """Of a cell's job, None where the sizes are not known, as of a network.

    ``length`` is that of :func:`corpus_seconds`. A probe on utterance means,
    and a network on one vector an utterance, cost nothing beside features.
    """
    sizes = _sizes_of(cell)
    if cell.job is None or sizes is None or cell.row.yaml:
        return None
    utterances, seconds = length
    weighted = cell.column.experiment.features == "weighted"
    width = sizes.dim * (sizes.states if weighted else 1)
    frames = seconds * sizes.rate if sizes.rate else float(utterances)
    heard = max(seconds, utterances * sizes.window)
    extraction = 0.0
    if sizes.millions:
        extraction = heard * (
            sizes.millions * 1e6 * sizes.rate
            + _front_end_per_second(sizes.channels)
        )
    training = 0.0
    on_frames = Path(cell.job.command[1]).stem in _ON_FRAMES and (
        cell.column.head == "linear"
    )
    if on_frames and sizes.rate:
        epochs = _EPOCHS if epochs is None else epochs
        steps = epochs * cell.column.n_folds * frames * _TRAINED
        training = _PASSES * steps * sizes.dim * _HIDDEN
    layer = "all" if weighted else "one"
    name = (str(cell.job.data), cell.features.partition(",")[0], layer)
    return Cost(name, extraction, training, round(frames * width * _FLOAT))


def total(costs: Iterable[Cost]) -> tuple[float, int]:
    """Multiply-adds and bytes of several jobs; shared features count once.

    >>> one = Cost(("EmoDB", "x", "one"), 100.0, 10.0, 8)
    >>> total([one, one])
    (120.0, 8)
    """
    work, size, seen = 0.0, 0, set()
    for cost in costs:
        work += cost.training
        if cost.features not in seen:
            work += cost.extraction
            size += cost.feature_bytes
            seen.add(cost.features)
    return work, size


def corpus_seconds(corpus: Corpus, folder: Path) -> tuple[int, float]:
    """Utterances of a class in a folder, and their seconds of speech.

    By the hours that the corpus is known to have, else by the headers of its
    files.
    """
    corpus = corpus.bound_to(folder)
    listed = [u for u in corpus.parse(folder) if u.emo_raw]
    listed = [u for u in listed if corpus.class_of(u) is not None]
    known = {**corpus.paper_table1, **corpus.expected}
    if known.get("hours") and known.get("utts"):
        each = 3600 * known["hours"] / known["utts"]
        return len(listed), each * len(listed)
    infos = audio_infos([folder / u.wav for u in listed], progress=False)
    return len(listed), sum(getattr(info, "duration", 0.0) for info in infos)


def multiply_adds_per_second(device: str | None, repeats: int = 5) -> float:
    """Of this machine, measured on a product of a layer's size."""
    where = torch.device(device or "cpu")
    left = torch.ones(512, 768, device=where)
    right = torch.ones(768, 3072, device=where)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        float((left @ right)[0, 0])  # waits for a GPU, too
        best = min(best, time.perf_counter() - started)
    return 512 * 768 * 3072 / best


@lru_cache
def _sizes() -> dict[str, Sizes]:
    path = Path(__file__).with_name("upstream_sizes.yaml")
    return read_yaml(path, dict[str, Sizes])


def _sizes_of(cell: Cell) -> Sizes | None:
    if "sizes" in cell.row.options or not cell.column.experiment.hears:
        return None  # the user's own, or no speech at all
    if cell.job is not None and cell.job.encoder and not cell.row.upstream:
        sizes = read_sizes(cell.job.encoder)
        layers = int(sizes["prenet_depth"]) + int(sizes["depth"])
        dim = int(sizes["embed_dim"])
        millions = layers * 12 * dim**2 / 1e6
        channels = int(sizes["conv_channels"])
        return Sizes(dim, layers, 50, millions, channels=channels)
    floor = next((k for k, name in FLOORS.items() if name == cell.row.name), "")
    return upstream_sizes(floor or cell.row.upstream)


def _front_end_per_second(width: int) -> float:
    """Multiply-adds of the seven convolutions on a second of audio."""
    work, rate, channels = 0.0, float(SAMPLE_RATE), 1
    for kernel, stride in zip(CONV_KERNELS, CONV_STRIDES, strict=True):
        rate /= stride
        work += rate * kernel * channels * width
        channels = width
    return work
