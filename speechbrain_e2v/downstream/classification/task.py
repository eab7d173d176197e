"""The task of most recipes: emotions of utterances."""

from collections.abc import Callable
from pathlib import Path

from speechbrain.utils.distributed import if_main_process

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import class_votes
from speechbrain_e2v.downstream.classification.confusion import plot_confusion
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.data import (
    KEYS,
    DownstreamData,
    prepare_data,
)
from speechbrain_e2v.downstream.inputs import FrozenFeatures, Inputs
from speechbrain_e2v.downstream.results import (
    MEAN_OVER_FOLDS,
    protocol_entry,
    run_folds,
    write_run,
)
from speechbrain_e2v.training.experiment import Experiment


class Classification:
    """Every fold and seed of a classification.

    ``targets`` are what the trainer learns: labels, or with ``VoteTargets``
    what annotators said. ``inputs`` are frozen features where nothing else is
    given.

    >>> "classifier" in Classification().keys
    True
    """

    def __init__(
        self,
        targets: Callable[..., ClassTargets] = ClassTargets,
        inputs: Inputs | None = None,
    ) -> None:
        self.targets = targets
        self.inputs: Inputs = inputs or FrozenFeatures()
        self.keys = (*KEYS, *self.inputs.keys, "classifier")

    def run(self, corpus: Corpus, experiment: Experiment) -> dict:
        """Run the experiment; writes and gives ``results.json``."""
        data = prepare_data(
            corpus.labelled or corpus,
            experiment,
            _labelled,
            self.inputs,
            ("classifier",),
        )
        about = {
            "task": f"emotion classification, {self.inputs.name}",
            "corpus": data.corpus.name,
            "protocol": protocol_entry(experiment, data),
        }
        return run_classifier(
            experiment, data, about, _title, targets=self.targets
        )


def run_classifier(
    experiment: Experiment,
    data: DownstreamData,
    about: dict,
    title: Callable[[dict], str],
    headline: str = MEAN_OVER_FOLDS,
    targets: Callable[..., ClassTargets] = ClassTargets,
) -> dict:
    """Train and test in every fold; write, print and return the results.

    The yaml has ``classifier``, ``seeds`` and ``output_folder``; ``about`` is
    what ``results.json`` says of the task; ``title`` makes of it the lines
    above the table.
    """
    classes = data.corpus.classes
    codes = LabelSet(classes).encode(data.utterances)
    ids = [utterance.id for utterance in data.utterances]
    votes = {u.id: class_votes(u.votes, classes) for u in data.utterances}
    known = targets(
        classes,
        dict(zip(ids, codes, strict=True)),
        {name: counts for name, counts in votes.items() if counts},
    )
    folder = Path(experiment.hparams["output_folder"])
    about = {**about, "classes": list(classes)}
    results, runs = run_folds(experiment, data, known, about, headline)
    if if_main_process():
        plot_confusion(
            folder / "confusion.png",
            results["confusion"],
            classes,
            title(results),
        )
    write_run(folder, results, runs, known, data.speakers, title(results))
    return results


def _labelled(corpus: Corpus, utterances: list[Utterance]) -> list[Utterance]:
    return LabelSet(corpus.classes).apply(utterances)


def _title(results: dict) -> str:
    protocol, headline = results["protocol"], results["headline"]
    scores = "  ".join(
        f"{n.upper()} {headline['scores'][n]:.2f}" for n in ("wa", "ua", "wf1")
    )
    first = f"{results['corpus']}, {protocol['name']}"
    upstream = results["upstream"]["kind"]
    return (
        f"{first}: {scores}  ({headline['is']})\n"
        f"{upstream}; {results['classifier']['kind']}\n"
        + "; ".join(protocol["marks"])
    )
