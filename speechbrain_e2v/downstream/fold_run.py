"""One fold of one seed: where its result lies, and whether it still holds."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.fold_result import save_head
from speechbrain_e2v.files.atomic import replace_text

_FORMAT = 1
# Run options that change where or how loudly a fold is trained, not its result.
_WITHOUT_EFFECT = {"device", "noprogressbar", "log_config", "param_file"}


@dataclass(frozen=True)
class PlannedFold:
    """A fold, a seed, and the folder of their result.

    Arguments
    ---------
    fold : Fold
        Ids that train, validate and test.
    seed : int
        Of the training.
    folder : Path
        ``<output_folder>/folds/<number>/seed<seed>``.
    digest : str
        Of everything that decides the result.

    Example
    -------
    >>> fold = Fold("x", ("a",), ("b",), ("c",))
    >>> folder = getfixture("tmp_path")
    >>> (planned,) = plan([fold], [1], folder, {"kind": "probe"}, len)
    >>> planned.finished() is None
    True
    """

    fold: Fold
    seed: int
    folder: Path
    digest: str

    def finished(self):
        """The content of ``result.json``; ``None`` when it does not hold."""
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        run = json.loads(path.read_text("utf-8"))
        return run if run["settings_sha256"] == self.digest else None

    def keep(self, outcome, about, result):
        """Save a trained head and its result.

        Arguments
        ---------
        outcome : FoldOutcome or RegressionOutcome
            Has ``head``, ``arguments``, ``selection`` and ``history``.
        about : dict
            Goes into ``probe.json``.
        result : dict
            What was predicted and how well.

        Returns
        -------
        dict
            The content of ``result.json``.
        """
        fold = self.fold
        run = {
            "fold": fold.name,
            "seed": self.seed,
            "settings_sha256": self.digest,
            "n_train": len(fold.train),
            "n_valid": len(fold.valid),
            "n_test": len(fold.test),
            "test": list(fold.test),
            "selection": outcome.selection,
            "history": outcome.history,
            **result,
        }
        about = {**about, "fold": fold.name}
        save_head(self.folder, outcome.head, outcome.arguments, about)
        # Last: its presence says that the fold is finished.
        replace_text(self.folder / "result.json", json.dumps(run) + "\n")
        return run


def plan(folds, seeds, output_folder, settings, truth, run_opts=None):
    """List all folds of all seeds.

    Arguments
    ---------
    folds : sequence of Fold
        All folds.
    seeds : sequence of int
        Seeds of the training; the folds stay the same.
    output_folder : str or Path
        Folder of the run.
    settings : dict
        What decides the result of every fold.
    truth : callable
        From an utterance id to what is to be predicted.
    run_opts : RunOptions or None
        Options with an effect, such as a precision, belong to the settings.

    Returns
    -------
    list of PlannedFold
        Seed by seed.
    """
    planned = []
    for seed in seeds:
        for number, fold in enumerate(folds):
            parts = {
                "train": fold.train, "valid": fold.valid, "test": fold.test
            }  # fmt: skip
            decisive = {
                "format": _FORMAT,
                **settings,
                "seed": seed,
                "fold": fold.name,
                "parts": {
                    part: [[name, truth(name)] for name in names]
                    for part, names in parts.items()
                },
                "run_options": _effective(run_opts),
            }
            text = json.dumps(decisive, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            folder = Path(output_folder) / "folds" / f"{number:02d}"
            planned.append(
                PlannedFold(fold, seed, folder / f"seed{seed}", digest)
            )
    return planned


def _effective(run_opts):
    if run_opts is None:
        return {}
    chosen = run_opts.overridden_args - _WITHOUT_EFFECT
    return {name: str(run_opts[name]) for name in sorted(chosen)}
