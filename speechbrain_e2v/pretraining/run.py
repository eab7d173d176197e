"""Entry point of pre-training: what the top-level ``train.py`` calls."""

import sys
from pathlib import Path

import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    run_on_main,
)
from speechbrain.utils.logger import get_logger

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.pretraining.batch_sampler import LengthBatchSampler
from speechbrain_e2v.pretraining.brain import DistillationBrain
from speechbrain_e2v.pretraining.data import (
    PretrainingDataset,
    crop_collate,
    pad_collate,
)
from speechbrain_e2v.pretraining.data_checks import check_pretraining
from speechbrain_e2v.pretraining.health_log import HealthLog
from speechbrain_e2v.pretraining.health_plot import plot_health
from speechbrain_e2v.pretraining.initialise import initialise
from speechbrain_e2v.pretraining.monitor import TrainingMonitor
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.training.experiment import (
    load_experiment,
    one_line_errors,
    recipe_usage,
)

logger = get_logger(__name__)

KEYS = (
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
    "decoder",
    "student",
    "teacher",
    "ema_schedule",
    "clones",
    "draw_masks",
    "noise_std",
    "frame_loss_weight",
    "utterance_loss",
    "utterance_loss_weight",
    "utterance_loss_reduction",
    "updates",
    "optimizer_step_limit",
    "remove_vector_weight_decay",
    "grad_accumulation_factor",
    "max_grad_norm",
    "precision",
    "skip_nonfinite_grads",
    "frontend_lr_factor",
    "opt_class",
    "lr_schedule",
    "log_interval",
    "collapse",
    "ckpt_interval_steps",
    "modules",
    "epoch_counter",
    "checkpointer",
)


def pretrain(argv=None):
    """Pre-train an encoder by online distillation.

    Arguments
    ---------
    argv : list of str or None
        ``hparams/x.yaml --manifests '[a.json]' --key value ...``; ``None``:
        the command line.

    Returns
    -------
    Path
        The encoder folder, ``<output_folder>/encoder``.

    Raises
    ------
    SystemExit
        With one line, for bad input; with the usage, for ``--help``.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or {"-h", "--help"} & set(argv):
        print(
            recipe_usage(
                sys.argv[0],
                "Pre-train emotion2vec on unlabelled speech",
                "hparams/pretrain_tiny.yaml --manifests '[speech.json]'",
            )
            + "\n\nmanifests of any folder of audio:\n"
            "  e2v manifest /path/to/audio -o speech.json\n"
            "several GPUs:\n"
            "  torchrun --nproc-per-node=4 train.py hparams/pretrain.yaml ..."
        )
        raise SystemExit(0)
    with one_line_errors():
        experiment = load_experiment(argv, KEYS)
        hparams, run_opts = experiment.hparams, experiment.run_opts
        missing = [key for key in KEYS if key not in hparams]
        if missing:
            raise ValueError(f"{experiment.file}: {', '.join(missing)} missing")
        utterances = _read_manifests(hparams)
        ddp_init_group(run_opts)
        utterances, report = check_pretraining(
            utterances,
            round(hparams["min_seconds"] * SAMPLE_RATE),
            progress=if_main_process() and not run_opts.noprogressbar,
        )
        experiment.make_folder()
        logger.info("Speech to hear: %s", report)
        if hparams["initialise_from"]:
            taken = initialise(
                hparams["student"],
                hparams["teacher"],
                hparams["initialise_from"],
            )
            logger.info("Initialised from %s", taken)
        brain = _build_brain(experiment)
        loader = _build_loader(hparams, brain, utterances)
        _log_job(brain, loader, hparams)
    try:
        brain.fit(hparams["epoch_counter"], loader, progressbar=False)
    finally:
        brain.monitor.close()
        run_on_main(_draw, args=[hparams["output_folder"]])
    folder = Path(hparams["output_folder"]) / "encoder"
    run_on_main(_export, args=[folder, brain, report, experiment])
    return folder


def _read_manifests(hparams):
    manifests = hparams["manifests"]
    if isinstance(manifests, str):
        manifests = [manifests]
    return [
        utterance
        for manifest in manifests
        for utterance in read_manifest(manifest, hparams["data_root"])
    ]


def _build_brain(experiment):
    hparams, run_opts = experiment.hparams, experiment.run_opts
    monitor = TrainingMonitor(
        HealthLog(Path(hparams["output_folder"]) / "health.jsonl"),
        hparams["collapse"],
        int(hparams["updates"]),
        int(hparams["log_interval"]),
        progress=not run_opts.noprogressbar,
    )
    return DistillationBrain(
        monitor=monitor,
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )


def _build_loader(hparams, brain, utterances):
    max_samples = round(hparams["max_seconds"] * SAMPLE_RATE)
    dataset = PretrainingDataset(utterances, max_samples, hparams["seed"])
    sampler = LengthBatchSampler(
        dataset.lengths,
        round(hparams["batch_seconds"] * SAMPLE_RATE),
        max_samples,
        seed=hparams["seed"],
        rank=brain.rank,
        world_size=brain.world_size,
        batches_per_update=brain.grad_accumulation_factor,
    )
    workers = hparams["num_workers"]
    return SaveableDataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=pad_collate if hparams["pad_batches"] else crop_collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.device(brain.device).type == "cuda",
    )


def _log_job(brain, loader, hparams):
    parameters = sum(p.numel() for p in hparams["student"].parameters())
    factor = brain.grad_accumulation_factor
    batches = len(loader.batch_sampler)
    seconds = hparams["batch_seconds"] * brain.world_size * factor
    logger.info(
        "%.2f M parameters; up to %.1f s of speech x %d clones an update "
        "(%d processes x %d accumulated); %d updates an epoch, %d in all",
        parameters / 1e6,
        seconds,
        hparams["clones"],
        brain.world_size,
        factor,
        batches // factor,
        brain.optimizer_step_limit,
    )


def _draw(output_folder):
    log = Path(output_folder) / "health.jsonl"
    if log.is_file() and log.stat().st_size:
        plot_health(log, Path(output_folder) / "health.png")


def _export(folder, brain, report, experiment):
    hparams = experiment.hparams
    save_encoder(
        folder,
        hparams["student"].encoder,
        {
            "origin": "pre-trained with speechbrain_e2v",
            "pretraining": report.per_dataset,
            "finetuning": {},
            "updates": brain.optimizer_step,
            "initialised_from": hparams["initialise_from"],
            "seed": hparams["seed"],
            "configuration": experiment.file.name,
            "overrides": experiment.overrides,
        },
    )
    logger.info("Encoder written to %s", folder)
