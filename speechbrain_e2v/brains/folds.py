"""Every fold of every seed, each trained once and kept."""

import hashlib
import json
import time
from pathlib import Path

from tqdm import tqdm

from speechbrain_e2v.brains.outcome import save_head
from speechbrain_e2v.dataio.atomic import replace_text
from speechbrain_e2v.metrics import all_scores

_FORMAT = 1
# Run options that change where or how loudly a fold is trained, not its result.
_WITHOUT_EFFECT = {"device", "noprogressbar", "log_config", "param_file"}


def run_folds(
    trainer,
    store,
    labels,
    folds,
    classes,
    seeds,
    output_folder,
    upstream,
    run_opts=None,
    progress=True,
):
    """Train and test on every fold with every seed.

    A fold whose result is already there, made with the same settings, is read
    instead of trained again; so an interrupted run continues where it was.

    Arguments
    ---------
    trainer : ProbeTrainer, UtteranceProbeTrainer or LogisticTrainer
        Has ``steps``, ``description`` and ``fit_all``.
    store : FeatureStore
        Frozen features.
    labels : dict of str to int
        Class index of each utterance.
    folds : sequence of Fold
        All folds.
    classes : sequence of str
        Class names in order.
    seeds : sequence of int
        Seeds of the training; the folds stay the same.
    output_folder : str or Path
        ``folds/<number>/seed<seed>/`` are written below it.
    upstream : dict
        Description of the features, saved beside each head.
    run_opts : RunOptions or None
        Device and so on.
    progress : bool
        Show one progress bar over all folds, seeds and epochs.

    Returns
    -------
    list of dict
        The content of every ``result.json``: ``fold, seed, test, reference,
        predicted, posteriors, scores, selection, seconds, ...``
    """
    planned, runs = [], []
    for seed in seeds:
        for number, fold in enumerate(folds):
            folder = Path(output_folder) / "folds" / f"{number:02d}"
            folder = folder / f"seed{seed}"
            settings = _settings(trainer, store, labels, fold, classes, seed)
            settings["run_options"] = _effective(run_opts)
            planned.append((fold, seed, folder, _digest(settings)))
            runs.append(_finished(folder / "result.json", planned[-1][-1]))
    pending = [i for i, run in enumerate(runs) if run is None]
    about = {"classes": list(classes), "upstream": upstream}
    with tqdm(
        total=len(planned) * trainer.steps,
        initial=(len(planned) - len(pending)) * trainer.steps,
        desc="folds x epochs",
        disable=not progress,
    ) as bar:
        started = time.monotonic()
        for position, outcome in trainer.fit_all(
            store,
            labels,
            [planned[i][:2] for i in pending],
            len(classes),
            run_opts,
            bar.update,
        ):
            fold, seed, folder, digest = planned[pending[position]]
            run = {
                "fold": fold.name,
                "seed": seed,
                "settings_sha256": digest,
                # Of folds trained together the first one has their time.
                "seconds": round(time.monotonic() - started, 2),
                **_result(outcome, fold, labels),
            }
            save_head(
                folder,
                outcome.head,
                outcome.arguments,
                {**about, "fold": fold.name},
            )
            # Last: its presence says that the fold is finished.
            replace_text(folder / "result.json", json.dumps(run) + "\n")
            runs[pending[position]] = run
            started = time.monotonic()
    return runs


def _result(outcome, fold, labels):
    reference = [labels[name] for name in fold.test]
    return {
        "n_train": len(fold.train),
        "n_valid": len(fold.valid),
        "n_test": len(fold.test),
        "scores": all_scores(reference, outcome.predictions),
        "selection": outcome.selection,
        "test": list(fold.test),
        "reference": reference,
        "predicted": outcome.predictions,
        "posteriors": [
            [round(p, 6) for p in row] for row in outcome.posteriors.tolist()
        ],
        "history": outcome.history,
    }


def _finished(path, digest):
    if not path.is_file():
        return None
    run = json.loads(path.read_text("utf-8"))
    return run if run["settings_sha256"] == digest else None


def _settings(trainer, store, labels, fold, classes, seed):
    parts = {"train": fold.train, "valid": fold.valid, "test": fold.test}
    return {
        "format": _FORMAT,
        "classifier": trainer.description,
        "features": store.folder.name,
        "classes": list(classes),
        "seed": seed,
        "fold": fold.name,
        "parts": {
            part: [[name, labels[name]] for name in names]
            for part, names in parts.items()
        },
    }


def _effective(run_opts):
    if run_opts is None:
        return {}
    chosen = run_opts.overridden_args - _WITHOUT_EFFECT
    return {name: str(run_opts[name]) for name in sorted(chosen)}


def _digest(settings):
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
