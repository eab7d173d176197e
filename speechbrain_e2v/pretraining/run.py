"""What stands behind the lines of ``train.py``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.pretraining.batch_sampler import LengthBatchSampler
from speechbrain_e2v.pretraining.data import (
    PretrainingDataset,
    crop_collate,
    pad_collate,
)
from speechbrain_e2v.pretraining.data_checks import (
    PretrainingReport,
    check_pretraining,
)
from speechbrain_e2v.pretraining.pretraining_brain import PretrainingBrain
from speechbrain_e2v.pretraining.settings import START, RunSettings
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.training.experiment import (
    Experiment,
    load_experiment,
    recipe_usage,
)

logger = get_logger(__name__)

KEYS = (
    "brain",
    "seed",
    "output_folder",
    "save_folder",
    "manifests",
    "data_root",
    "initialise_from",
    "batch_seconds",
    "min_seconds",
    "max_seconds",
    "pad_batches",
    "num_workers",
    "max_bad_share",
    "encoder",
    "student",
    "updates",
    "optimizer_step_limit",
    "remove_vector_weight_decay",
    "grad_accumulation_factor",
    "max_grad_norm",
    "precision",
    "skip_nonfinite_grads",
    "opt_class",
    "lr_schedule",
    "log_interval",
    "collapse",
    "ckpt_interval_steps",
    "modules",
    "epoch_counter",
    "checkpointer",
)
"""Of every pre-training; what an objective reads beside, its brain says."""
NUMBERS = {
    "batch_seconds": (0.025, False),
    "min_seconds": (0.0, False),
    "max_seconds": (0.025, False),
    "num_workers": (0, True),
    "max_bad_share": (0.0, False),
    "updates": (1, True),
    "log_interval": (1, True),
}
"""Keys that are numbers: the smallest, and whether they are whole."""

OPTIONAL = ("valid_manifests", "train_logger", "allow_changed")


def load_pretraining(argv: list[str]) -> Experiment:
    """Read ``hparams/x.yaml --manifests '[a.json]' --key value ...``.

    ValueError for anything unknown, missing or unusable; the usage, and exit
    status 0, for ``--help`` and for no argument at all.
    """
    if not argv or {"-h", "--help"} & set(argv):
        print(
            recipe_usage(
                sys.argv[0],
                "Pre-train emotion2vec or Vesper on unlabelled speech",
                "hparams/pretrain_tiny.yaml --manifests '[speech.json]'",
            )
            + "\n\nmanifests of any folder of audio:\n"
            "  e2v manifest /path/to/audio -o speech.json\n"
            "several GPUs:\n"
            "  torchrun --nproc-per-node=4 train.py hparams/pretrain.yaml ..."
        )
        raise SystemExit(0)
    experiment = load_experiment(argv, lambda x: (*_keys(x), *OPTIONAL))
    wanted = _keys(experiment.hparams)
    missing = [key for key in wanted if key not in experiment.hparams]
    if missing:
        raise ValueError(f"{experiment.file}: {', '.join(missing)} missing")
    _check_values(experiment.hparams)
    return experiment


def _keys(hparams: dict[str, Any]) -> tuple[str, ...]:
    own = hparams["brain"].KEYS if "brain" in hparams else ()
    return (*KEYS, *own)


def _check_values(hparams: dict[str, Any]) -> None:
    """What cannot work is said now, not at the first update."""
    brain: type[PretrainingBrain] = hparams["brain"]
    for key, (smallest, whole) in {**NUMBERS, **brain.NUMBERS}.items():
        value = hparams[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not value >= smallest or (whole and value % 1):
            kind = "whole number" if whole else "number"
            raise ValueError(
                f"{key} is {value!r}: give a {kind} of {smallest:g} or more"
            )
    for key in ("manifests", "valid_manifests"):
        paths = hparams.get(key) or []
        listed = [paths] if isinstance(paths, str) else paths
        if not isinstance(listed, list) or not all(
            isinstance(path, str) for path in listed
        ):
            raise ValueError(
                f"{key} is {paths!r}: give manifest files, --{key} '[a.json]'"
            )
    for key in brain.SCHEDULES:
        try:
            hparams[key](1)
        except TypeError as error:
            raise ValueError(f"{key}: {error}; look at its numbers") from error


@dataclass(frozen=True)
class PretrainingData:
    """What to train on and what to validate with, every file checked."""

    train: PretrainingDataset
    valid: PretrainingDataset | None
    report: PretrainingReport


def prepare_data(
    hparams: dict[str, Any], run_opts: RunOptions
) -> PretrainingData:
    """Read the manifests and look at every file; see `check_pretraining`.

    ValueError also when an utterance is to be both trained on and validated
    with.
    """
    progress = if_main_process() and not run_opts.noprogressbar
    Dataset = hparams["brain"].Dataset  # noqa: N806 (a class)
    shortest = round(hparams["min_seconds"] * SAMPLE_RATE)
    longest = round(hparams["max_seconds"] * SAMPLE_RATE)
    heard = _utterances(hparams["manifests"], hparams["data_root"])
    kept = _utterances(hparams.get("valid_manifests"), hparams["data_root"])
    both = {u.id for u in heard} & {u.id for u in kept}
    if both:
        raise ValueError(
            f"valid_manifests: {len(both)} utterances are in manifests, too "
            f"({', '.join(sorted(both)[:3])}): validate with others."
        )
    heard, report = check_pretraining(heard, shortest, progress)
    valid = None
    if kept:
        kept, _ = check_pretraining(kept, shortest, progress)
        valid = Dataset(kept, longest, hparams["seed"])
    train = Dataset(heard, longest, hparams["seed"])
    return PretrainingData(train, valid, report)


def _utterances(
    manifests: str | list[str] | None, data_root: str | None
) -> list[Utterance]:
    if isinstance(manifests, str):
        manifests = [manifests]
    return [
        utterance
        for manifest in manifests or ()
        for utterance in read_manifest(manifest, data_root)
    ]


def start_weights(settings: RunSettings, brain: PretrainingBrain) -> None:
    """Initialise a new run; one that resumes finds its weights elsewhere."""
    if START not in settings:
        settings[START] = brain.initial_weights()
    brain.settings = settings


def make_loaders(
    data: PretrainingData, brain: PretrainingBrain
) -> tuple[SaveableDataLoader, SaveableDataLoader | None]:
    """Batches to train on, shared out over the ranks, and to validate with.

    The latter are the same ones at every call, whole on every rank.
    """
    train = _loader(
        data.train,
        brain,
        rank=brain.rank,
        world_size=brain.world_size,
        batches_per_update=brain.grad_accumulation_factor,
    )
    valid = _loader(data.valid, brain) if data.valid is not None else None
    _log_job(brain, train, data.report)
    return train, valid


def _loader(
    dataset: PretrainingDataset, brain: PretrainingBrain, **shares: int
) -> SaveableDataLoader:
    hparams = brain.hparams
    sampler = LengthBatchSampler(
        dataset.lengths,
        round(hparams.batch_seconds * SAMPLE_RATE),
        dataset.max_samples,
        seed=dataset.seed,
        **shares,
    )
    workers = hparams.num_workers
    return SaveableDataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=pad_collate if hparams.pad_batches else crop_collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.device(brain.device).type == "cuda",
    )


def _log_job(
    brain: PretrainingBrain,
    loader: SaveableDataLoader,
    report: PretrainingReport,
) -> None:
    parameters = sum(p.numel() for p in brain.hparams.student.parameters())
    factor = brain.grad_accumulation_factor
    batches = len(loader.batch_sampler)
    seconds = brain.hparams.batch_seconds * brain.world_size * factor
    logger.info("Speech to hear: %s", report)
    logger.info(
        "%.2f M parameters; up to %.1f s of speech x %d clones an update "
        "(%d processes x %d accumulated); %d updates an epoch, %d in all",
        parameters / 1e6,
        seconds,
        getattr(brain.hparams, "clones", 1),
        brain.world_size,
        factor,
        batches // factor,
        brain.optimizer_step_limit,
    )


def export_encoder(
    brain: PretrainingBrain, data: PretrainingData, experiment: Experiment
) -> Path:
    """Write ``<output_folder>/encoder`` on the main process."""
    hparams = experiment.hparams
    folder = Path(hparams["output_folder"]) / "encoder"
    card = {
        "origin": "pre-trained with speechbrain_e2v",
        "pretraining": data.report.per_dataset,
        "finetuning": {},
        "updates": brain.optimizer_step,
        "initialised_from": hparams["initialise_from"],
        START: brain.settings[START],
        "seed": hparams["seed"],
        "configuration": experiment.file.name,
        "overrides": experiment.overrides,
    }
    run_on_main(save_encoder, args=[folder, hparams["student"].encoder, card])
    logger.info("Encoder written to %s", folder)
    return folder
