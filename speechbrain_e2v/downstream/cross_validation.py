"""Every fold of every seed, each trained once and kept."""

import time

from tqdm import tqdm

from speechbrain_e2v.downstream.fold_run import plan
from speechbrain_e2v.metrics import all_scores


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
    settings = {
        "classifier": trainer.description,
        "features": store.folder.name,
        "classes": list(classes),
    }
    planned = plan(
        folds, seeds, output_folder, settings, labels.__getitem__, run_opts
    )
    runs = [entry.finished() for entry in planned]
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
            [(planned[i].fold, planned[i].seed) for i in pending],
            len(classes),
            run_opts,
            bar.update,
        ):
            entry = planned[pending[position]]
            result = _result(outcome, [labels[n] for n in entry.fold.test])
            # Of folds trained together the first one has their time.
            result["seconds"] = round(time.monotonic() - started, 2)
            runs[pending[position]] = entry.keep(outcome, about, result)
            started = time.monotonic()
    return runs


def _result(outcome, reference):
    return {
        "scores": all_scores(reference, outcome.predictions),
        "reference": reference,
        "predicted": outcome.predictions,
        "posteriors": [
            [round(p, 6) for p in row] for row in outcome.posteriors.tolist()
        ],
    }
