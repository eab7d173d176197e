"""The task of most recipes: emotions from frozen features."""

from pathlib import Path

from speechbrain_e2v.brains.folds import run_folds
from speechbrain_e2v.confusion import plot_confusion
from speechbrain_e2v.dataio.labels import LabelSet
from speechbrain_e2v.experiment import one_line_errors
from speechbrain_e2v.frozen_features import (
    KEYS,
    gather,
    protocol_entry,
    provenance_entries,
    without_announcements,
)
from speechbrain_e2v.results import (
    FORMAT,
    score_table,
    summarise,
    write_predictions,
    write_results,
)

_LEFT_OUT = ("test", "reference", "predicted", "posteriors", "history")


class Classification:
    """Every fold and seed of a classification.

    Example
    -------
    >>> "classifier" in Classification().keys
    True
    """

    keys = (*KEYS, "classifier")

    def run(self, corpus, experiment):
        """Run the experiment and write its results.

        Arguments
        ---------
        corpus : Corpus
            What the recipe's ``<corpus>_prepare.py`` knows.
        experiment : Experiment
            Command line and yaml.

        Returns
        -------
        dict
            The content of ``<output_folder>/results.json``.
        """
        hparams = experiment.hparams
        with one_line_errors():
            material = gather(corpus, experiment, _labelled, ("classifier",))
        classes = material.corpus.classes
        codes = LabelSet(classes).encode(material.utterances)
        indices = {
            u.id: code
            for u, code in zip(material.utterances, codes, strict=True)
        }
        output_folder = Path(hparams["output_folder"])
        with without_announcements():
            runs = run_folds(
                hparams["classifier"],
                material.store,
                indices,
                material.folds,
                classes,
                hparams["seeds"],
                output_folder,
                material.upstream.description,
                experiment.run_opts,
                progress=not experiment.run_opts.noprogressbar,
            )
        speakers = material.speakers
        results = {
            "format": FORMAT,
            "task": "emotion classification, frozen features",
            "corpus": material.corpus.name,
            "classes": list(classes),
            "protocol": protocol_entry(experiment, material),
            "seeds": list(hparams["seeds"]),
            **summarise(runs, classes, speakers),
            "folds": [_without_predictions(run) for run in runs],
            "classifier": hparams["classifier"].description,
            **provenance_entries(experiment, material, runs),
        }
        write_predictions(
            output_folder / "predictions.csv", runs, classes, speakers
        )
        plot_confusion(
            output_folder / "confusion.png",
            results["confusion"],
            classes,
            _title(results),
        )
        write_results(output_folder / "results.json", results)
        print(f"\n{_title(results)}\n{score_table(results)}")
        print(f"{output_folder / 'results.json'}")
        return results


def _labelled(corpus, utterances):
    return LabelSet(corpus.classes).apply(utterances)


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
    return {key: value for key, value in run.items() if key not in _LEFT_OUT}
