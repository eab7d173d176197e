#!/usr/bin/env python3
"""Probes of ten folds and five seeds, 535 utterances, from cached features.

> python benchmarks/probes.py -o results.json
"""

import tempfile
import time
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from measurement import Row, demand, main, ratio_row
from timing import alternate, ratio

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.probe import ProbeTrainer
from speechbrain_e2v.downstream.classification.utterance_probe import (
    UtteranceProbeTrainer,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features

FRAGMENT = Path(__file__).parents[1] / "hparams/fragments/linear_probe.yaml"
UTTERANCES, CLASSES, FOLDS, WIDTH, EPOCHS = 535, 7, 10, 768, 100
FRAMES = 138  # mean of EmoDB's 2.78 s
OPTIONS = {"device": "cpu", "noprogressbar": True}


def utterance_probe(arguments):
    """Time training together, against one head after the other."""
    utterances, width, epochs, seeds = UTTERANCES, WIDTH, EPOCHS, range(5)
    if arguments.tiny:
        utterances, width, epochs, seeds = 60, 16, 2, range(2)
    with tempfile.TemporaryDirectory() as folder:
        store, labels, folds = _task(folder, utterances, width, frames=1)
        settings = _settings(epochs)
        planned = [(fold, seed) for seed in seeds for fold in folds]

        def trained(trainer, planned):
            return dict(
                trainer.fit_all(
                    store, labels, planned, CLASSES, OPTIONS, lambda: None
                )
            )

        together = UtteranceProbeTrainer(settings)
        alone = ProbeTrainer(settings)
        begin = time.perf_counter()
        found = trained(together, planned)
        seconds = time.perf_counter() - begin
        some = planned[:: len(folds) + 1]
        expected = trained(alone, some)
        error = max(
            (expected[i].outputs - found[planned.index(chosen)].outputs)
            .abs()
            .max()
            .item()
            for i, chosen in enumerate(some)
        )
        demand(error < 1e-3, f"posteriors apart by {error}")
        checks = {"error": error, "heads": len(planned)}
        yield Row("probe_seconds", seconds, checks)
        first = planned[: len(folds)]
        times = alternate(
            {
                "ours": lambda: trained(together, first),
                "peer": lambda: trained(alone, first),
            },
            arguments.rounds or 1,
            warm_up=False,
        )
        checks = {"error": error, "heads": len(first)}
        yield ratio_row("probe_together", ratio(times), checks)


def frame_probe(arguments):
    """Share of the matmul peak that the paper's probe on frames reaches."""
    utterances, width, epochs = UTTERANCES, WIDTH, 10
    if arguments.tiny:
        utterances, width, epochs = 60, 16, 1
    with tempfile.TemporaryDirectory() as folder:
        store, labels, folds = _task(folder, utterances, width, FRAMES)
        fold = folds[0]

        def fit(epochs):
            trainer = ProbeTrainer(_settings(epochs))
            trainer.fit(store, labels, fold, CLASSES, 1, OPTIONS, lambda: None)

        fit(1)
        begin = time.perf_counter()
        fit(epochs)
        seconds = time.perf_counter() - begin
    # Forward and gradient of the weights; validation is forward only.
    products = 2 * len(fold.train) + len(fold.valid)
    work = 2 * products * FRAMES * width * 256 * epochs
    peak = _matmul_peak(width)
    yield Row(
        "probe_frames_share",
        100 * work / seconds / peak,
        {"GFLOP/s of the peak": peak / 1e9},
    )
    yield Row(
        "probe_frames_seconds",
        seconds / epochs * EPOCHS * FOLDS,
        {"epochs measured": epochs},
        note=f"{epochs} epochs of one fold, extrapolated to ten of {EPOCHS}",
    )


def _task(folder, utterances, width, frames):
    torch.manual_seed(0)
    names = [f"u{i:03d}" for i in range(utterances)]
    labels = {name: i % CLASSES for i, name in enumerate(names)}
    centres = torch.randn(CLASSES, width)
    store = FeatureStore(
        write_features(
            Path(folder, "store"),
            (
                (n, torch.randn(frames, width) + 0.1 * centres[labels[n]])
                for n in names
            ),
        )
    )
    size = utterances // FOLDS
    folds = []
    for number in range(FOLDS):
        around = names[number * size :] + names[: number * size]
        folds.append(
            Fold(
                f"fold {number}",
                tuple(around[2 * size :]),
                tuple(around[size : 2 * size]),
                tuple(around[:size]),
            )
        )
    return store, labels, folds


def _settings(epochs):
    overrides = {"number_of_epochs": epochs, "batch_size": 128}
    with open(FRAGMENT, encoding="utf-8") as file:
        return load_hyperpyyaml(file, overrides)["settings"]


def _matmul_peak(width):
    left, right = torch.randn(16384, width), torch.randn(256, width)
    seconds = alternate({"matmul": lambda: left @ right.T}, 9)["matmul"]
    return 2 * left.numel() * len(right) / min(seconds)


PARTS = {"utterance": utterance_probe, "frames": frame_probe}

if __name__ == "__main__":
    main(__doc__, PARTS)
