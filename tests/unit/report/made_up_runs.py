"""Runs of a recipe that never ran."""

from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.results import (
    FORMAT,
    summarise,
    write_predictions,
    write_results,
)

UPSTREAMS = {
    "mfcc": {"kind": "statistics of MFCCs"},
    "random": {"kind": "encoder at random initialisation"},
    "nothing": {"kind": "no features"},
    "mine": {"kind": "trained encoder", "source": "mine", "card": None},
}
SPEAKERS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}


def write_run(folder, upstream, predicted, corpus="EmoDB",
              protocol="random_kfold", marks=("m1",),
              classifier="probe"):  # fmt: skip
    classes = ("x", "y")
    runs = [
        {
            "fold": name,
            "seed": 1,
            "test": [f"{name}1", f"{name}2"],
            "reference": [0, 1],
            "predicted": list(guess),
            "posteriors": [[0.5, 0.5]] * 2,
        }
        for name, guess in zip("ab", predicted, strict=True)
    ]
    results = {
        "format": FORMAT,
        "corpus": corpus,
        "protocol": {"name": protocol, "n_folds": 2, "marks": list(marks)},
        "seeds": [1],
        "upstream": UPSTREAMS[upstream],
        "classifier": {"kind": classifier},
        **summarise(runs, ClassTargets(classes), SPEAKERS),
    }
    write_results(folder / "results.json", results)
    write_predictions(
        folder / "predictions.csv", runs, ClassTargets(classes), SPEAKERS
    )
    return folder
