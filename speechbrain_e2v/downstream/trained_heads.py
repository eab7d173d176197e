"""What a finished run holds: its results, and the heads it trained.

Whatever is read here may be damaged: every file has a schema.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import torch

from speechbrain_e2v.downstream.cross_validation import read_fold
from speechbrain_e2v.files.documents import BadDocument, read_json
from speechbrain_e2v.lobes import heads
from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.published.state_dict_check import (
    check_state,
    read_safetensors,
)

Head: TypeAlias = heads.FrameMLPHead | heads.LinearHead | heads.WeightedSumHead
_HEADS: dict[str, type[Head]] = {
    "FrameMLPHead": heads.FrameMLPHead,
    "LinearHead": heads.LinearHead,
    "WeightedSumHead": heads.WeightedSumHead,
}
_RUN_AGAIN = "run the recipe again"
_TRAIN_AGAIN = "delete its folder, and run the recipe again"

_Size: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
_Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=1)]  # of dropout


class _SavedHead(msgspec.Struct):
    """What ``probe.json`` must have."""

    head: str
    arguments: dict[str, _Size | _Share]
    weights_sha256: str | None = None


class _Name(msgspec.Struct):
    name: str | None = None


class _Trainer(msgspec.Struct, frozen=True):
    head: _Name | None = None


class _Source(msgspec.Struct, frozen=True):
    kind: str | None = None
    architecture: str | None = None  # this package's own encoders have none


class _Kind(msgspec.Struct):
    """What ``results.json`` of any run may have: can it be exported at all?"""

    classifier: _Trainer = _Trainer()
    upstream: _Source = _Source()
    scales: dict[str, Any] = {}
    regressor: Any = None
    conversation: Any = None


class _Protocol(msgspec.Struct):
    name: str
    description: str
    n_folds: _Size
    split_seed: int
    marks: list[str]


class _Trained(msgspec.Struct):
    settings_sha256: str


class _Upstream(msgspec.Struct):
    weights_sha256: str


class _Made(msgspec.Struct):
    kind: str


class _Spread(msgspec.Struct):
    mean: float
    sd: float
    min: float
    max: float


class _Versions(msgspec.Struct):
    speechbrain_e2v: str


class _Run(msgspec.Struct):
    """What ``results.json`` must have for its classifier to be exported."""

    corpus: str
    classes: list[str]
    protocol: _Protocol
    pooled: dict[str, float]
    n_predictions: int
    classifier: _Made
    upstream: _Upstream
    feature_layer: int | str | list[int]
    fold_spread: dict[str, _Spread]
    versions: _Versions
    folds: list[_Trained]
    commit: str | None = None
    interval95: dict[str, tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        for name in SCORES:
            if name not in self.pooled or name not in self.fold_spread:
                raise ValueError(f"there is no score {name}")


class _Fold(msgspec.Struct):
    """What ``result.json`` must have beside predictions."""

    n_train: int
    n_valid: int
    n_test: int
    selection: dict[str, Any]
    scores: dict[str, float | None]


@dataclass(frozen=True)
class Choice:
    """One trained head of a run, and why this one.

    `folder` is ``folds/<number>/seed<seed>``, `result` its ``result.json``.
    """

    folder: Path
    number: int
    seed: int
    result: dict
    reason: str


def read_run(run: str | Path) -> dict:
    """Read ``results.json`` and refuse runs that cannot be exported."""
    path = Path(run) / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} is no finished run: there is no {path.name} in it."
        )
    kind = read_json(path, _Kind, way_out=_RUN_AGAIN)
    if kind.regressor is not None:
        raise ValueError(
            f"{run} is a regression of {', '.join(kind.scales)}; only "
            "runs with classes can be exported as a classifier."
        )
    if kind.conversation is not None:
        raise ValueError(
            f"{run} predicts the next turn of a conversation; only runs that "
            "classify single utterances can be exported."
        )
    head = kind.classifier.head and kind.classifier.head.name
    if head is not None and head not in _HEADS:
        raise ValueError(
            f"{run} trained a {head}; only {', '.join(_HEADS)} can be exported."
        )
    if kind.upstream.kind != "trained encoder":
        raise ValueError(
            f"{run} used {kind.upstream.kind or 'no frozen features'}; only "
            "runs on the features of a trained encoder can be exported."
        )
    if kind.upstream.architecture is not None:
        raise ValueError(
            f"{run} used {kind.upstream.architecture}; only runs on encoders "
            "of this package can be exported."
        )
    read_json(path, _Run, way_out=_RUN_AGAIN)
    return read_json(path, dict[str, Any])


def choose(
    run: str | Path, fold: str | int | None = None, seed: int | None = None
) -> Choice:
    """Choose a trained head of a run.

    `fold` is the number of a fold, from 0, or its name; None, as for `seed`:
    all compete, and all that ``results.json`` names must be there. The best
    validation WA wins; of equals the lower loss, then the first fold.

    Raises
    ------
    ValueError
        When no head fits; says which there are.
    """
    path = Path(run) / "results.json"
    results = read_json(path, _Run, way_out=_RUN_AGAIN)
    current = {entry.settings_sha256 for entry in results.folds}
    candidates, known, kept = [], [], set()
    for path in sorted(Path(run).glob("folds/*/seed*/result.json")):
        number = int(path.parts[-3])
        found_seed = int(path.parts[-2].removeprefix("seed"))
        result = read_fold(path)
        if result["settings_sha256"] not in current:
            continue  # of other settings, which results.json no longer has
        kept.add(result["settings_sha256"])
        known.append(f"{number} ({result['fold']!r}, seed {found_seed})")
        named = fold is None or str(fold) in (
            str(number), f"{number:02d}", result["fold"]
        )  # fmt: skip
        if named and seed in (None, found_seed):
            candidates.append((path.parent, number, found_seed, result))
    if fold is None and seed is None and kept < current:
        # The best of what is left would not be the best of the run.
        raise ValueError(
            f"{run}/results.json names {len(current)} trained heads, of which "
            f"{len(current - kept)} are not in {run}/folds: run the recipe "
            "again, or choose one with --fold and --seed"
        )
    if not candidates:
        raise ValueError(
            f"{run} has no fold {fold!r} with seed {seed!r}; there are: "
            + (", ".join(known) or "none, train first")
        )

    def quality(candidate: tuple[Path, int, int, dict]) -> tuple:
        selection = candidate[3]["selection"]
        loss = selection.get("valid_loss", 0.0)
        return -selection["valid_wa"], loss, candidate[1], candidate[2]

    best = min(candidates, key=quality)
    read_json(best[0] / "result.json", _Fold, way_out=_TRAIN_AGAIN)
    reason = (
        "best validation WA of " + f"{len(candidates)} heads"
        if len(candidates) > 1
        else "the only one that was asked for"
    )
    return Choice(*best, reason)


def read_head(folder: str | Path) -> Head:
    """Read the head of ``folds/<number>/seed<seed>``."""
    path = Path(folder) / "probe.json"
    about = read_json(path, _SavedHead, way_out=_TRAIN_AGAIN)
    if about.head not in _HEADS:
        raise ValueError(
            f"{folder} has a {about.head}; only "
            f"{', '.join(_HEADS)} can be exported."
        )
    try:
        with torch.device("meta"):  # whatever the sizes say, nothing is built
            head = _HEADS[about.head](**about.arguments)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadDocument(
            f"{path}: arguments: {error}: {_TRAIN_AGAIN}."
        ) from None
    weights = path.with_name("probe.safetensors")
    state = read_safetensors(weights, about.weights_sha256)
    check_state(head, state, weights)
    head.load_state_dict(state, assign=True)
    return head.eval()
