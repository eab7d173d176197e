"""The task of most recipes: emotions from frozen features."""

from pathlib import Path

from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.downstream.classification.confusion import plot_confusion
from speechbrain_e2v.downstream.cross_validation import run_folds
from speechbrain_e2v.downstream.data import (
    KEYS,
    gather,
    protocol_entry,
    provenance_entries,
    without_announcements,
    without_predictions,
)
from speechbrain_e2v.downstream.results import (
    FORMAT,
    score_table,
    summarise,
    write_predictions,
    write_results,
)
from speechbrain_e2v.training.experiment import one_line_errors


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
        with one_line_errors():
            material = gather(corpus, experiment, _labelled, ("classifier",))
        about = {
            "task": "emotion classification, frozen features",
            "corpus": material.corpus.name,
            "protocol": protocol_entry(experiment, material),
        }
        return run_classifier(experiment, material, about, _title)


def run_classifier(experiment, material, about, title):
    """Train and test in every fold; write, print and return the results.

    Arguments
    ---------
    experiment : Experiment
        Its yaml has ``classifier``, ``seeds`` and ``output_folder``.
    material : Material
        Features, labels and folds.
    about : dict
        What ``results.json`` says of the task: ``task``, ``corpus``,
        ``protocol`` and more.
    title : callable
        Results to the lines above their table.

    Returns
    -------
    dict
        The content of ``<output_folder>/results.json``.
    """
    hparams = experiment.hparams
    classes = material.corpus.classes
    codes = LabelSet(classes).encode(material.utterances)
    ids = [utterance.id for utterance in material.utterances]
    output_folder = Path(hparams["output_folder"])
    with without_announcements():
        runs = run_folds(
            hparams["classifier"],
            material.store,
            dict(zip(ids, codes, strict=True)),
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
        **about,
        "classes": list(classes),
        "seeds": list(hparams["seeds"]),
        **summarise(runs, classes, speakers),
        "folds": [without_predictions(run) for run in runs],
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
        title(results),
    )
    write_results(output_folder / "results.json", results)
    print(f"\n{title(results)}\n{score_table(results)}")
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
