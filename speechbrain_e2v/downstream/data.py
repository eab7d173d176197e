"""From a command line to utterances, folds and frozen features."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import (
    ddp_barrier,
    ddp_broadcast,
    ddp_init_group,
    if_main_process,
    infer_device,
)

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import prepare
from speechbrain_e2v.corpora.protocols import (
    PROTOCOLS,
    Fold,
    make_folds,
    require_choice,
)
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.cross_validation import LayerWeigher, Trainer
from speechbrain_e2v.downstream.inputs import Inputs, Store
from speechbrain_e2v.training.experiment import Experiment

KEYS = (
    "data_folder",
    "output_folder",
    "strict_counts",
    "protocol",
    "n_folds",
    "split_seed",
    "seeds",
    "upstream",
)
"""Top-level keys that :func:`prepare_data` reads, beside those of inputs."""
OPTIONAL_KEYS = ("labels", "exclude")
"""The table of a corpus of one's own; a list of what to leave out."""


@dataclass(frozen=True)
class DownstreamData:
    """What a task trains and tests on.

    ``store`` is what the inputs made of the utterances, with ``upstream``;
    ``started`` is ``time.monotonic()`` of the beginning.
    """

    corpus: Corpus
    manifest: Path
    utterances: list[Utterance]
    folds: list[Fold]
    store: Store
    upstream: Any
    started: float

    @property
    def speakers(self) -> dict[str, str | None]:
        """Speaker of each utterance id."""
        return {u.id: u.spk for u in self.utterances}


def prepare_data(
    corpus: Corpus,
    experiment: Experiment,
    select: Callable[[Corpus, list[Utterance]], list[Utterance]],
    inputs: Inputs,
    more_keys: Sequence[str] = (),
) -> DownstreamData:
    """Prepare the corpus, make the folds and what is trained on.

    ``select`` gives the utterances of the task; the yaml must have ``KEYS``
    and ``more_keys``.

    Raises ValueError, OSError for bad input, before any work on audio where
    that is possible.
    """
    started = time.monotonic()
    hparams = experiment.hparams
    keys = (*KEYS, *inputs.keys, *more_keys)
    device = checked_device(experiment, keys, inputs.ranks)
    ddp_init_group(experiment.run_opts)  # does nothing without torchrun
    upstream = hparams["upstream"](device=device)
    if isinstance(hparams.get("classifier"), LayerWeigher):
        trainer = hparams["classifier"].for_upstream(upstream.description)
        hparams["classifier"] = trainer
    corpus = corpus.as_asked(*(hparams.get(key) for key in OPTIONAL_KEYS))
    corpus = corpus.bound_to(hparams["data_folder"])
    experiment.make_folder()
    manifest = None
    if if_main_process():
        manifest = prepare(
            corpus,
            hparams["data_folder"],
            Path(hparams["output_folder"]) / "manifest",
            strict_counts=hparams["strict_counts"],
        )
    ddp_barrier()
    manifest = ddp_broadcast(manifest)
    utterances = select(corpus, read_manifest(manifest))
    folds = make_folds(
        hparams["protocol"],
        utterances,
        hparams["n_folds"],
        hparams["split_seed"],
    )
    if "classifier" in hparams:
        require_learning(hparams["classifier"], folds, utterances)
    store = inputs.store(hparams, upstream, utterances)
    return DownstreamData(
        corpus, manifest, utterances, folds, store, upstream, started
    )


def require_learning(
    trainer: Trainer, folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> None:
    """Refuse one class, of which nothing is learned, and chosen on nothing."""
    found = {u.emo for u in utterances}
    if trainer.learns and len(found) == 1:
        raise ValueError(
            f"all {len(utterances)} utterances are {found.pop()!r}; a "
            "classification needs two classes or more: give the whole corpus"
        )
    emotion = {u.id: u.emo for u in utterances}
    for fold in folds:
        heard = {emotion[name] for name in fold.train}
        if trainer.learns and len(heard) == 1:
            raise ValueError(
                f"{fold.name}: all {len(fold.train)} utterances that train are "
                f"{heard.pop()!r}; use fewer folds (--n_folds), or another "
                "--protocol"
            )
    if trainer.chooses:
        require_choice(folds, utterances)


def checked_device(
    experiment: Experiment, keys: Sequence[str], ranks: bool = False
) -> str:
    """The device to run on, once all is refused that needs no corpus.

    ``keys`` are those that the yaml must have, :data:`KEYS` among them but for
    ``upstream``; ``ranks`` whether torchrun may have started the process.

    Raises ValueError naming the key or option.
    """
    hparams, run_opts = experiment.hparams, experiment.run_opts
    missing = [key for key in keys if key not in hparams]
    if missing:
        raise ValueError(f"{experiment.file}: {', '.join(missing)} missing")
    if not Path(hparams["data_folder"]).is_dir():
        raise ValueError(
            f"data_folder: there is no folder {hparams['data_folder']}"
        )
    if hparams["protocol"] not in PROTOCOLS:
        raise ValueError(
            f"protocol is {hparams['protocol']!r}; there are "
            f"{', '.join(PROTOCOLS)}"
        )
    seeds = hparams["seeds"]
    if not isinstance(seeds, list) or len(set(seeds)) < max(1, len(seeds)):
        raise ValueError(
            f"seeds is {seeds!r}; give a list of different numbers: "
            "--seeds '[1, 2, 3]'"
        )
    if not ranks and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "a probe is trained by one process; start it with python, not "
            "with torchrun"
        )
    if run_opts.test_only:
        raise ValueError(
            "--test_only: a fold is trained and tested in one go; finished "
            "folds are not trained again anyway"
        )
    return run_opts.device or infer_device()


@contextlib.contextmanager
def without_announcements() -> Iterator[None]:
    """SpeechBrain announces every Brain, epoch and checkpoint.

    Here there is one Brain a fold, and a bar for the epochs.
    """
    names = ("core", "utils.epoch_loop", "utils.checkpoints")
    loggers = [logging.getLogger(f"speechbrain.{name}") for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
