"""Every fold of every seed, each trained once and kept."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.fold_result import FoldResult, save_head
from speechbrain_e2v.downstream.targets import Targets
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import BadDocument, read_json

_FORMAT = 1
_TRAIN_AGAIN = "delete it, and the fold is trained again"
# Run options that change where or how loudly a fold is trained, not its result.
_WITHOUT_EFFECT = {
    "device",
    "noprogressbar",
    "log_config",
    "param_file",
    "distributed_backend",
    "ckpt_interval_minutes",
    "ckpt_interval_steps",
}


class Trainer(Protocol):
    """What a yaml gives under ``classifier`` or ``regressor``."""

    steps: int
    """How often ``advance`` is called for each fold: epochs."""
    description: dict
    """All that decides the result, for ``results.json``."""
    learns: bool
    """Whether it has a use for more than one class."""
    chooses: bool
    """Whether the validation part decides anything."""

    def fit_all(
        self,
        store: Any,
        truth: dict,
        planned: Sequence[tuple[Fold, int]],
        n_outputs: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> Iterator[tuple[int, FoldResult]]:
        """Train folds with seeds; yields their places as they finish."""


@runtime_checkable
class LayerWeigher(Protocol):
    """A trainer whose head may weigh the layers of an upstream."""

    def for_upstream(self, description: dict) -> Trainer:
        """The same for the upstream that its results describe so.

        Raises ValueError where there are no layers to weigh.
        """


class FoldByFold:
    """A trainer whose ``fit`` takes one fold and one seed at a time."""

    fit: Callable[..., FoldResult]
    learns = True
    chooses = True

    def fit_all(
        self,
        store: Any,
        truth: dict,
        planned: Sequence[tuple[Fold, int]],
        n_outputs: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> Iterator[tuple[int, FoldResult]]:
        """As of :class:`Trainer`."""
        for place, (fold, seed) in enumerate(planned):
            yield (
                place,
                self.fit(
                    store, truth, fold, n_outputs, seed, run_opts, advance
                ),
            )


@dataclass(frozen=True)
class FoldRun:
    """One fold of one seed, and where its result lies.

    ``folder`` is ``<output_folder>/folds/<number>/seed<seed>``; ``digest`` is
    of everything that decides the result.

    >>> run = FoldRun(
    ...     Fold("x", ("a",), ("b",), ("c",)), 1, getfixture("tmp_path"), "1f")
    >>> run.finished() is None
    True
    """

    fold: Fold
    seed: int
    folder: Path
    digest: str

    def finished(self) -> dict | None:
        """The content of ``result.json``; ``None`` when it does not hold."""
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        run = read_fold(path)
        return run if run["settings_sha256"] == self.digest else None

    def write_ids(self) -> None:
        """``folds/<number>/ids.json``: what trains, validates and tests."""
        parts = {"train": self.fold.train, "valid": self.fold.valid,
                 "test": self.fold.test}  # fmt: skip
        text = json.dumps({"fold": self.fold.name, **parts}, indent=0)
        if if_main_process():
            replace_text(self.folder.parent / "ids.json", text + "\n")

    def keep(self, result: FoldResult, about: dict, entries: dict) -> dict:
        """Save head and result; gives the content of ``result.json``."""
        fold = self.fold
        run = {
            "fold": fold.name,
            "seed": self.seed,
            "settings_sha256": self.digest,
            "n_train": len(fold.train),
            "n_valid": len(fold.valid),
            "n_test": len(fold.test),
            "test": list(fold.test),
            "selection": result.selection,
            "history": [_finite(entry) for entry in result.history],
            **entries,
        }
        if result.head is not None:
            run["parameters"] = result.trained_parameters
        if if_main_process():
            if result.head is not None:
                about = {**about, "fold": fold.name}
                save_head(self.folder, result, about)
            # Last: its presence says that the fold is finished.
            text = json.dumps(run, allow_nan=False)
            replace_text(self.folder / "result.json", text + "\n")
        return run


class _Kept(msgspec.Struct):
    """What ``result.json`` must have."""

    fold: str
    seed: int
    settings_sha256: str
    n_train: int
    n_valid: int
    n_test: int
    test: list[str]
    selection: dict[str, int | float | str | None]
    reference: list[int | list[float]]
    predicted: list[int | list[float]]
    seconds: float
    scores: dict[str, float] = {}
    posteriors: list[list[float]] | None = None


def read_fold(path: str | Path) -> dict:
    """The content of a ``result.json``.

    Raises BadDocument, naming the file, when it is not what was written.
    """
    run = read_json(path, dict[str, Any], way_out=_TRAIN_AGAIN)
    try:
        kept = msgspec.convert(run, _Kept)
        parts = (kept.test, kept.reference, kept.predicted, kept.posteriors)
        lengths = {len(part) for part in parts if part is not None}
        if lengths != {kept.n_test}:
            raise ValueError(f"{kept.n_test} test utterances have {lengths}")
    except ValueError as error:
        raise BadDocument(f"{path}: {error}: {_TRAIN_AGAIN}.") from None
    return run


def _finite(entry: dict) -> dict:
    """JSON has no word for the loss of a training that diverged."""
    return {
        name: None if isinstance(x, float) and not math.isfinite(x) else x
        for name, x in entry.items()
    }


def cross_validate(
    trainer: Trainer,
    store: Any,
    targets: Targets,
    folds: Sequence[Fold],
    seeds: Sequence[int],
    output_folder: str | Path,
    upstream: dict,
    run_opts: RunOptions | None = None,
    progress: bool = True,
) -> list[dict]:
    """Train and test on every fold with every seed; the folds stay the same.

    A fold whose result is already there, made with the same settings, is read
    instead of trained again; so an interrupted run continues where it was.
    ``store`` is what the trainer reads, and has a ``digest``. Gives
    the content of every ``result.json``, seed by seed.
    """
    names = {targets.names_key: list(targets.names)}
    settings = {
        targets.trainer_key: trainer.description,
        "features": store.digest,
        **names,
    }
    planned = plan_folds(
        folds, seeds, output_folder, settings, targets.truth, run_opts
    )
    for run in planned:
        run.write_ids()
    runs = [run.finished() for run in planned]
    pending = [place for place, run in enumerate(runs) if run is None]
    about = {**names, "upstream": upstream}
    if not pending:  # trainers of several folds need one
        return [run for run in runs if run is not None]
    with progress_bar(
        total=len(planned) * trainer.steps,
        initial=(len(planned) - len(pending)) * trainer.steps,
        desc="folds x epochs",
        disable=not progress,
    ) as bar:
        started = time.monotonic()
        for place, result in trainer.fit_all(
            store,
            targets.truth,
            [(planned[i].fold, planned[i].seed) for i in pending],
            len(targets.names),
            run_opts,
            bar.update,
        ):
            run = planned[pending[place]]
            entries = {
                **targets.entries(run.fold.test, result.outputs),
                # Of folds trained together the first one has their time.
                "seconds": round(time.monotonic() - started, 2),
            }
            runs[pending[place]] = run.keep(result, about, entries)
            started = time.monotonic()
    return [run for run in runs if run is not None]


def decisive_options(run_opts: RunOptions | None) -> dict[str, str]:
    """Run options given on the command line that a result depends on."""
    if run_opts is None:
        return {}
    chosen = run_opts.overridden_args - _WITHOUT_EFFECT
    return {name: str(run_opts[name]) for name in sorted(chosen)}


def plan_folds(
    folds: Sequence[Fold],
    seeds: Sequence[int],
    output_folder: str | Path,
    settings: dict,
    truth: dict,
    run_opts: RunOptions | None = None,
) -> list[FoldRun]:
    """All folds of all seeds, seed by seed.

    Run options with an effect, such as a precision, belong to the settings.
    """
    options = decisive_options(run_opts)
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
                    part: [[name, truth[name]] for name in names]
                    for part, names in parts.items()
                },
                "run_options": options,
            }
            text = json.dumps(decisive, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            folder = Path(output_folder) / "folds" / f"{number:02d}"
            planned.append(FoldRun(fold, seed, folder / f"seed{seed}", digest))
    return planned
