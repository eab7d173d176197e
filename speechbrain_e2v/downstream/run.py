"""Entry point of recipes: what a ``train.py`` calls.

:func:`downstream` reads the command line and hands over to the task that the
yaml names under ``task``; a yaml without one classifies emotions. A task has
``keys``, the top-level keys of its yaml, and ``run(corpus, experiment)``,
which does all the rest and returns the content of ``results.json``.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speechbrain_e2v.console import one_line_errors
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.downstream.classification.task import Classification
from speechbrain_e2v.downstream.data import OPTIONAL_KEYS
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.training.experiment import load_experiment, recipe_usage

_logger = logging.getLogger(__name__)


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
        task = _task(experiment.hparams)
        if "output_folder" not in experiment.hparams:
            raise ValueError(f"{experiment.file}: output_folder missing")
        with _only_writer(Path(experiment.hparams["output_folder"])):
            try:
                return task.run(corpus, experiment)
            except (ValueError, OSError):
                _logger.debug("what the one line is about", exc_info=True)
                raise


@contextlib.contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Keep other runs out; a folder that bad input leaves empty is not left."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with sole_writer(folder):
            yield
    finally:
        for path in absent:
            with contextlib.suppress(OSError):
                path.rmdir()  # succeeds only where nothing is in it


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
