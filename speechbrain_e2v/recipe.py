"""Entry points of recipes: what a ``train.py`` calls.

:func:`downstream` runs a whole experiment on frozen features: prepare the
corpus, compute the features once, train and test every fold, write
``results.json``.
"""

import contextlib
import json
import logging
import os
import shlex
import sys
import time
from pathlib import Path

import speechbrain
import torch
from speechbrain.utils.distributed import infer_device

from speechbrain_e2v import __version__
from speechbrain_e2v.brains.folds import run_folds
from speechbrain_e2v.confusion import plot_confusion
from speechbrain_e2v.dataio.feature_cache import cached_features
from speechbrain_e2v.dataio.labels import LabelSet
from speechbrain_e2v.dataio.manifest import read_manifest
from speechbrain_e2v.dataio.prepare import completeness_marks, prepare
from speechbrain_e2v.dataio.protocols import (
    DESCRIPTIONS,
    PROTOCOLS,
    make_folds,
    protocol_marks,
)
from speechbrain_e2v.experiment import (
    load_experiment,
    one_line_errors,
    recipe_usage,
)
from speechbrain_e2v.provenance import commit, heard_marks
from speechbrain_e2v.results import (
    FORMAT,
    score_table,
    summarise,
    write_predictions,
    write_results,
)

DOWNSTREAM_KEYS = (
    "data_folder",
    "output_folder",
    "feature_cache",
    "strict_counts",
    "protocol",
    "n_folds",
    "split_seed",
    "seeds",
    "upstream",
    "classifier",
)


def downstream(corpus, argv=None):
    """Run a recipe on frozen features.

    Arguments
    ---------
    corpus : Corpus
        What the recipe's ``<corpus>_prepare.py`` knows.
    argv : list of str or None
        ``hparams/x.yaml --key value ...``; ``None``: the command line.

    Returns
    -------
    dict
        The content of ``<output_folder>/results.json``.

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
                f"Emotion classification on {corpus.name} with frozen features",
                f"hparams/linear.yaml --data_folder /path/to/{corpus.name} "
                "--encoder /path/to/encoder",
            )
        )
        raise SystemExit(0)
    started = time.monotonic()
    with one_line_errors():
        experiment = load_experiment(argv, DOWNSTREAM_KEYS)
        hparams = experiment.hparams
        upstream = _checked_upstream(experiment)
        corpus = corpus.bound_to(hparams["data_folder"])
        experiment.make_folder()
        output_folder = Path(hparams["output_folder"])
        manifest = prepare(
            corpus,
            hparams["data_folder"],
            output_folder / "manifest",
            strict_counts=hparams["strict_counts"],
        )
        labels = LabelSet(corpus.classes)
        utterances = labels.apply(read_manifest(manifest))
        folds = make_folds(
            hparams["protocol"],
            utterances,
            hparams["n_folds"],
            hparams["split_seed"],
        )
        store = cached_features(hparams["feature_cache"], upstream, utterances)
    indices = dict(
        zip([u.id for u in utterances], labels.encode(utterances), strict=True)
    )
    with _without_announcements():
        runs = run_folds(
            hparams["classifier"],
            store,
            indices,
            folds,
            corpus.classes,
            hparams["seeds"],
            output_folder,
            upstream.description,
            experiment.run_opts,
            progress=not experiment.run_opts.noprogressbar,
        )
    speakers = {u.id: u.spk for u in utterances}
    results = {
        "format": FORMAT,
        "task": "emotion classification, frozen features",
        "corpus": corpus.name,
        "classes": list(corpus.classes),
        "protocol": {
            "name": hparams["protocol"],
            "description": DESCRIPTIONS[hparams["protocol"]],
            "n_folds": len(folds),
            "split_seed": hparams["split_seed"],
            "marks": completeness_marks(manifest)
            + protocol_marks(folds, utterances)
            + heard_marks(upstream.description.get("card"), corpus.name),
        },
        "seeds": list(hparams["seeds"]),
        **summarise(runs, corpus.classes, speakers),
        "folds": [_without_predictions(run) for run in runs],
        "upstream": upstream.description,
        "upstream_digest": upstream.digest,
        "feature_layer": upstream.description.get("layer"),
        "classifier": hparams["classifier"].description,
        "corpus_rows_sha256": _content_digest(manifest),
        "command": shlex.join(map(str, experiment.command)),
        "commit": commit(),
        "versions": {
            "speechbrain_e2v": __version__,
            "speechbrain": speechbrain.__version__,
            "torch": torch.__version__,
        },
        "seconds": {
            "this_command": round(time.monotonic() - started, 1),
            "training": round(sum(run["seconds"] for run in runs), 1),
        },
    }
    write_predictions(
        output_folder / "predictions.csv", runs, corpus.classes, speakers
    )
    plot_confusion(
        output_folder / "confusion.png",
        results["confusion"],
        corpus.classes,
        _title(results),
    )
    write_results(output_folder / "results.json", results)
    print(f"\n{_title(results)}\n{score_table(results)}")
    print(f"{output_folder / 'results.json'}")
    return results


@contextlib.contextmanager
def _without_announcements():
    """SpeechBrain announces every Brain; here there is one per fold."""
    core = logging.getLogger("speechbrain.core")
    level = core.level
    core.setLevel(logging.WARNING)
    try:
        yield
    finally:
        core.setLevel(level)


def _checked_upstream(experiment):
    """Everything that can be refused before the corpus is read."""
    hparams, run_opts = experiment.hparams, experiment.run_opts
    missing = [key for key in DOWNSTREAM_KEYS if key not in hparams]
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
    return hparams["upstream"](device=run_opts.device or infer_device())


def _title(results):
    protocol = results["protocol"]
    pooled = results["pooled"]
    scores = "  ".join(f"{n.upper()} {pooled[n]:.2f}" for n in ("wa", "ua"))
    first = f"{results['corpus']}, {protocol['name']}"
    upstream = results["upstream"]["kind"]
    return (
        f"{first}: {scores}  WF1 {pooled['wf1']:.2f}\n"
        f"{upstream}; {results['classifier']['kind']}\n"
        + "; ".join(protocol["marks"])
    )


def _without_predictions(run):
    left_out = ("test", "reference", "predicted", "posteriors", "history")
    return {key: value for key, value in run.items() if key not in left_out}


def _content_digest(manifest):
    meta = json.loads(manifest.with_suffix(".meta.json").read_text("utf-8"))
    return meta["content_sha256"]
