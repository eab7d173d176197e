"""The task of every ``regression.yaml``: ratings from frozen features.

Arousal, valence and dominance, or the sentiment of a segment: whatever scales
the corpus has. A yaml asks for it by

``task: !new:speechbrain_e2v.downstream.regression.task.Regression``
"""

from pathlib import Path

from speechbrain_e2v.downstream.data import (
    KEYS,
    gather,
    protocol_entry,
    provenance_entries,
    without_announcements,
    without_predictions,
)
from speechbrain_e2v.downstream.regression.cross_validation import (
    RatedMaterial,
    run_regression_folds,
)
from speechbrain_e2v.downstream.regression.metrics import CORRELATIONS
from speechbrain_e2v.downstream.regression.ratings import ratings_of
from speechbrain_e2v.downstream.regression.results import (
    rating_table,
    summarise_ratings,
    write_rating_predictions,
)
from speechbrain_e2v.downstream.results import FORMAT, write_results
from speechbrain_e2v.training.experiment import one_line_errors


class Regression:
    """Every fold and seed of a regression.

    Example
    -------
    >>> "regressor" in Regression().keys
    True
    """

    keys = (*KEYS, "regressor")

    def run(self, corpus, experiment):
        """Run the experiment and write its results.

        Arguments
        ---------
        corpus : Corpus
            What the recipe's ``<corpus>_prepare.py`` knows; has ``rated``.
        experiment : Experiment
            Command line and yaml.

        Returns
        -------
        dict
            The content of ``<output_folder>/results.json``.
        """
        hparams = experiment.hparams
        with one_line_errors():
            if corpus.rated is None:
                raise ValueError(
                    f"{corpus.name}: its recipe knows no ratings to predict; "
                    "there are some of IEMOCAP, MSP-Podcast, CMU-MOSI and "
                    "CMU-MOSEI"
                )
            scales = corpus.rated.scales
            material = gather(
                corpus.rated,
                experiment,
                lambda _, utterances: _checked(utterances, scales),
                ("regressor",),
            )
        targets, outside = ratings_of(material.utterances, scales)
        output_folder = Path(hparams["output_folder"])
        with without_announcements():
            runs = run_regression_folds(
                hparams["regressor"],
                RatedMaterial(
                    material.store,
                    targets,
                    tuple(scales),
                    material.upstream.description,
                ),
                material.folds,
                hparams["seeds"],
                output_folder,
                experiment.run_opts,
                progress=not experiment.run_opts.noprogressbar,
            )
        protocol = protocol_entry(experiment, material)
        protocol["marks"] += _outside(outside)
        results = {
            "format": FORMAT,
            "task": "regression, frozen features",
            "corpus": material.corpus.name,
            "scales": {name: list(ends) for name, ends in scales.items()},
            "protocol": protocol,
            "seeds": list(hparams["seeds"]),
            **summarise_ratings(runs, scales, material.speakers),
            "folds": [without_predictions(run) for run in runs],
            "regressor": hparams["regressor"].description,
            **provenance_entries(experiment, material, runs),
        }
        write_rating_predictions(
            output_folder / "predictions.csv", runs, scales, material.speakers
        )
        write_results(output_folder / "results.json", results)
        print(f"\n{_title(results)}\n{rating_table(results)}")
        print(f"{output_folder / 'results.json'}")
        return results


def _checked(utterances, scales):
    ratings_of(utterances, scales)
    return utterances


def _outside(count):
    if not count:
        return []
    return [f"{count} ratings outside their scale were set to its end"]


def _title(results):
    protocol, pooled = results["protocol"], results["pooled"]
    scores = "  ".join(f"{n.upper()} {pooled[n]:.3f}" for n in CORRELATIONS)
    return (
        f"{results['corpus']}, {protocol['name']}: {scores}\n"
        f"{results['upstream']['kind']}; {results['regressor']['kind']}\n"
        + "; ".join(protocol["marks"])
    )
