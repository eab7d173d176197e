"""Entry point of recipes: what a ``train.py`` calls.

:func:`downstream` reads the command line and hands over to the task that the
yaml names under ``task``; a yaml without one classifies emotions. A task has
``keys``, the top-level keys of its yaml, and ``run(corpus, experiment)``,
which does all the rest and returns the content of ``results.json``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.downstream.classification.task import Classification
from speechbrain_e2v.downstream.data import OPTIONAL_KEYS
from speechbrain_e2v.training.experiment import (
    load_experiment,
    one_line_errors,
    recipe_usage,
)


def downstream(corpus: Corpus, argv: Sequence[str] | None = None) -> dict:
    """Run a recipe on frozen features; gives the content of results.json.

    ``corpus`` is what the recipe's ``<corpus>_prepare.py`` knows; ``argv`` is
    ``hparams/x.yaml --key value ...``, by default the command line.

    Raises SystemExit With one line, for bad input; with the usage, for
    ``--help``.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or {"-h", "--help"} & set(argv):
        print(
            recipe_usage(
                sys.argv[0],
                f"Experiments on {corpus.name} with frozen features",
                f"hparams/{_first_yaml()} --data_folder "
                f"/path/to/{corpus.name} --encoder /path/to/encoder",
            )
        )
        raise SystemExit(0)
    with one_line_errors():
        experiment = load_experiment(argv, _known_keys)
    return _task(experiment.hparams).run(corpus, experiment)


def _task(hparams: dict) -> Any:
    task = hparams["task"] if "task" in hparams else Classification()
    if not hasattr(task, "run"):
        raise ValueError(
            f"task is {task!r}; name a class of this package, such as "
            "!new:speechbrain_e2v.downstream.regression.task.Regression"
        )
    return task


def _known_keys(hparams: dict) -> tuple[str, ...]:
    return ("task", *_task(hparams).keys, *OPTIONAL_KEYS)


def _first_yaml() -> str:
    """The recipe's linear.yaml, else its first file in order of name."""
    names = sorted(
        path.name for path in Path(sys.argv[0]).parent.glob("hparams/*.yaml")
    )
    return "linear.yaml" if "linear.yaml" in names or not names else names[0]
