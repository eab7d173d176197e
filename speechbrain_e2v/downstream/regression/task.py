"""The task of every ``regression.yaml``: ratings of utterances.

Arousal, valence and dominance, or the sentiment of a segment: whatever scales
the corpus has. A yaml asks for it by

``task: !new:speechbrain_e2v.downstream.regression.task.Regression``
"""

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.data import KEYS, prepare_data
from speechbrain_e2v.downstream.inputs import FrozenFeatures, Inputs
from speechbrain_e2v.downstream.regression.metrics import CORRELATIONS
from speechbrain_e2v.downstream.regression.targets import (
    RatingTargets,
    ratings_of,
)
from speechbrain_e2v.downstream.results import (
    protocol_entry,
    run_folds,
    write_run,
)
from speechbrain_e2v.training.experiment import Experiment


class Regression:
    """Every fold and seed of a regression.

    ``inputs`` are frozen features where nothing else is given.

    >>> "regressor" in Regression().keys
    True
    """

    def __init__(self, inputs: Inputs | None = None) -> None:
        self.inputs: Inputs = inputs or FrozenFeatures()
        self.keys = (*KEYS, *self.inputs.keys, "regressor")

    def run(self, corpus: Corpus, experiment: Experiment) -> dict:
        """Run the experiment; writes and gives ``results.json``."""
        if corpus.rated is None:
            raise ValueError(
                f"{corpus.name}: its recipe knows no ratings to predict; "
                "there are some of IEMOCAP, MSP-Podcast, CMU-MOSI and "
                "CMU-MOSEI"
            )
        scales = corpus.rated.scales

        def checked(_: Corpus, rows: list[Utterance]) -> list[Utterance]:
            ratings_of(rows, scales)
            return rows

        data = prepare_data(
            corpus.rated, experiment, checked, self.inputs, ("regressor",)
        )
        ratings, outside = ratings_of(data.utterances, scales)
        targets = RatingTargets(scales, ratings)
        protocol = protocol_entry(experiment, data)
        if outside:
            protocol["marks"].append(
                f"{outside} ratings outside their scale were set to its end"
            )
        about = {
            "task": f"regression, {self.inputs.name}",
            "corpus": data.corpus.name,
            "scales": {name: list(ends) for name, ends in scales.items()},
            "protocol": protocol,
        }
        results, runs = run_folds(experiment, data, targets, about)
        folder = experiment.hparams["output_folder"]
        title = _title(results)
        write_run(folder, results, runs, targets, data.speakers, title)
        return results


def _title(results: dict) -> str:
    protocol, headline = results["protocol"], results["headline"]
    scores = "  ".join(
        f"{n.upper()} {headline['scores'][n]:.3f}" for n in CORRELATIONS
    )
    return (
        f"{results['corpus']}, {protocol['name']}: {scores}  "
        f"({headline['is']})\n"
        f"{results['upstream']['kind']}; {results['regressor']['kind']}\n"
        + "; ".join(protocol["marks"])
    )
