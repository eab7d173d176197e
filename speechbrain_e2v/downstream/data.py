"""What every task on frozen features begins and ends with.

:func:`gather` turns a command line into utterances, folds and features;
:func:`protocol_entry` and :func:`provenance_entries` are the parts of
``results.json`` that no score is understood without.
"""

import contextlib
import json
import logging
import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import speechbrain
import torch
from speechbrain.utils.distributed import infer_device

from speechbrain_e2v import __version__
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import completeness_caveats, prepare
from speechbrain_e2v.corpora.protocols import (
    PROTOCOLS,
    make_folds,
    protocol_caveats,
)
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.provenance import commit, heard_marks
from speechbrain_e2v.inference.feature_store import FeatureStore

_LEFT_OUT = ("test", "reference", "predicted", "posteriors", "history")
KEYS = (
    "data_folder",
    "output_folder",
    "feature_cache",
    "strict_counts",
    "protocol",
    "n_folds",
    "split_seed",
    "seeds",
    "upstream",
)
"""Top-level keys of a yaml that :func:`gather` reads."""


@dataclass(frozen=True)
class Material:
    """What a task trains and tests on.

    Arguments
    ---------
    corpus : Corpus
        With its classes or scales.
    manifest : Path
        Of the corpus.
    utterances : list of Utterance
        Those of the task.
    folds : list of Fold
        Of the protocol.
    store : FeatureStore
        Features of the utterances.
    upstream : object
        What made them.
    started : float
        ``time.monotonic()`` of the beginning.
    """

    corpus: Corpus
    manifest: Path
    utterances: list
    folds: list
    store: FeatureStore
    upstream: object
    started: float

    @property
    def speakers(self):
        """Speaker of each utterance id."""
        return {u.id: u.spk for u in self.utterances}


def gather(corpus, experiment, select, more_keys=()):
    """Prepare the corpus, make the folds, compute the features once.

    Arguments
    ---------
    corpus : Corpus
        Of the recipe.
    experiment : Experiment
        Command line and yaml.
    select : callable
        ``select(corpus, utterances)`` gives the utterances of the task.
    more_keys : sequence of str
        Keys besides ``KEYS`` that the yaml must have.

    Returns
    -------
    Material

    Raises
    ------
    ValueError, OSError
        For bad input, before any work on audio where that is possible.
    """
    started = time.monotonic()
    hparams = experiment.hparams
    device = checked_device(experiment, (*KEYS, *more_keys))
    upstream = hparams["upstream"](device=device)
    corpus = corpus.bound_to(hparams["data_folder"])
    experiment.make_folder()
    manifest = prepare(
        corpus,
        hparams["data_folder"],
        Path(hparams["output_folder"]) / "manifest",
        strict_counts=hparams["strict_counts"],
    )
    utterances = select(corpus, read_manifest(manifest))
    folds = make_folds(
        hparams["protocol"],
        utterances,
        hparams["n_folds"],
        hparams["split_seed"],
    )
    store = cached_features(hparams["feature_cache"], upstream, utterances)
    return Material(
        corpus, manifest, utterances, folds, store, upstream, started
    )


def checked_device(experiment, keys):
    """Refuse what can be refused before the corpus is read.

    Arguments
    ---------
    experiment : Experiment
        Command line and yaml.
    keys : sequence of str
        Keys that the yaml must have, those of :data:`KEYS` among them but
        for ``upstream``.

    Returns
    -------
    str
        The device to run on.

    Raises
    ------
    ValueError
        Naming the key or option.
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
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "a probe is trained by one process; start it with python, not "
            "with torchrun"
        )
    if run_opts.test_only:
        raise ValueError(
            "--test_only: a probe is trained and tested in one go; finished "
            "folds are not trained again anyway"
        )
    return run_opts.device or infer_device()


@contextlib.contextmanager
def without_announcements():
    """SpeechBrain announces every Brain; here there is one per fold."""
    core = logging.getLogger("speechbrain.core")
    level = core.level
    core.setLevel(logging.WARNING)
    try:
        yield
    finally:
        core.setLevel(level)


def protocol_entry(experiment, material):
    """``protocol`` of ``results.json``: what was done, and its marks.

    Arguments
    ---------
    experiment : Experiment
        Command line and yaml.
    material : Material
        What :func:`gather` gave.

    Returns
    -------
    dict
        ``name, description, n_folds, split_seed, marks``.
    """
    hparams = experiment.hparams
    card = material.upstream.description.get("card")
    return {
        "name": hparams["protocol"],
        "description": PROTOCOLS[hparams["protocol"]].description,
        "n_folds": len(material.folds),
        "split_seed": hparams["split_seed"],
        "marks": completeness_caveats(material.manifest)
        + protocol_caveats(material.folds, material.utterances)
        + heard_marks(card, material.corpus.name),
    }


def provenance_entries(experiment, material, runs):
    """Entries of ``results.json`` which say where the scores come from.

    Arguments
    ---------
    experiment : Experiment
        Command line and yaml.
    material : Material
        What :func:`gather` gave.
    runs : sequence of dict
        One per fold and seed, with ``seconds``.

    Returns
    -------
    dict
        ``upstream, upstream_digest, feature_layer, corpus_rows_sha256,
        command, commit, versions, seconds``.
    """
    upstream = material.upstream
    meta = material.manifest.with_suffix(".meta.json").read_text("utf-8")
    return {
        "upstream": upstream.description,
        "upstream_digest": upstream.digest,
        "feature_layer": upstream.description.get("layer"),
        "corpus_rows_sha256": json.loads(meta)["content_sha256"],
        "command": shlex.join(map(str, experiment.command)),
        "commit": commit(),
        "versions": {
            "speechbrain_e2v": __version__,
            "speechbrain": speechbrain.__version__,
            "torch": torch.__version__,
        },
        "seconds": {
            "this_command": round(time.monotonic() - material.started, 1),
            "training": round(sum(run["seconds"] for run in runs), 1),
        },
    }


def without_predictions(run):
    """What ``results.json`` keeps of a fold; predictions have their file.

    Arguments
    ---------
    run : dict
        Of one fold and seed.

    Returns
    -------
    dict

    Example
    -------
    >>> without_predictions({"fold": "a", "test": ["x"], "predicted": [1]})
    {'fold': 'a'}
    """
    return {key: value for key, value in run.items() if key not in _LEFT_OUT}
