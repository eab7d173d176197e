"""Every fold of every seed of a regression, each trained once and kept."""

import time
from dataclasses import dataclass

from tqdm import tqdm

from speechbrain_e2v.downstream.fold_run import plan
from speechbrain_e2v.inference.feature_store import FeatureStore


@dataclass(frozen=True)
class RatedMaterial:
    """What all folds have in common.

    Arguments
    ---------
    store : FeatureStore
        Frozen features.
    targets : dict of str to list of float
        Ratings of each utterance, in the order of ``names``.
    names : tuple of str
        Names of the ratings.
    upstream : dict
        Description of the features, saved beside each head.

    Example
    -------
    >>> RatedMaterial(None, {"a": [1.5]}, ("arousal",), {}).of(["a"])
    [[1.5]]
    """

    store: FeatureStore
    targets: dict
    names: tuple
    upstream: dict

    def of(self, utterances):
        """Ratings of some utterances, by id."""
        return [list(self.targets[name]) for name in utterances]


def run_regression_folds(
    trainer, material, folds, seeds, output_folder, run_opts, progress=True
):
    """Train and test on every fold with every seed.

    A fold whose result is already there, made with the same settings, is read
    instead of trained again; so an interrupted run continues where it was.

    Arguments
    ---------
    trainer : RegressionTrainer or RidgeTrainer
        Has ``steps``, ``description`` and ``fit``.
    material : RatedMaterial
        Features and ratings.
    folds : sequence of Fold
        All folds.
    seeds : sequence of int
        Seeds of the training; the folds stay the same.
    output_folder : str or Path
        ``folds/<number>/seed<seed>/`` are written below it.
    run_opts : RunOptions
        Device and so on.
    progress : bool
        Show one progress bar over all folds, seeds and epochs.

    Returns
    -------
    list of dict
        The content of every ``result.json``: ``fold, seed, test, reference,
        predicted, selection, seconds, ...``; values are lists of n ratings.
    """
    settings = {
        "regressor": trainer.description,
        "features": material.store.folder.name,
        "targets": list(material.names),
    }
    planned = plan(
        folds,
        seeds,
        output_folder,
        settings,
        lambda name: list(material.targets[name]),
        run_opts,
    )
    about = {"targets": list(material.names), "upstream": material.upstream}
    runs = []
    with tqdm(
        total=len(planned) * trainer.steps,
        desc="folds x epochs",
        disable=not progress,
    ) as bar:
        for entry in planned:
            run = entry.finished()
            if run is None:
                bar.set_description(f"{entry.fold.name}, seed {entry.seed}")
                started = time.monotonic()
                outcome = trainer.fit(
                    material.store,
                    material.targets,
                    entry.fold,
                    len(material.names),
                    entry.seed,
                    run_opts,
                    lambda _: bar.update(),
                )
                result = {
                    "seconds": round(time.monotonic() - started, 2),
                    "reference": material.of(entry.fold.test),
                    "predicted": outcome.predictions.tolist(),
                }
                run = entry.keep(outcome, about, result)
            bar.update((len(runs) + 1) * trainer.steps - bar.n)
            runs.append(run)
    return runs
