"""What can be audited: runs of recipes, and manifests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from speechbrain_e2v.corpora.group_splits import OFFICIAL_PARTS
from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.protocols import Fold, make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.documents import read_json

_PARTS = {"train": "train", "valid": "valid", "dev": "valid", "test": "test"}


class _Protocol(msgspec.Struct):
    name: str
    n_folds: int
    split_seed: int
    marks: list[str]


class _Results(msgspec.Struct):
    corpus: str
    protocol: _Protocol
    seeds: Annotated[list[int], msgspec.Meta(min_length=1)]
    classes: list[str] | None = None


class _FoldResult(msgspec.Struct):
    test: list[str]


@dataclass(frozen=True)
class Audited:
    """Folds, and the utterances they are made of.

    >>> Audited("x", [], [], None).is_run
    False
    """

    name: str
    utterances: list[Utterance]  # with absolute paths
    folds: list[Fold]
    protocol: str | None  # which declares; None: nothing does
    caveats: tuple[str, ...] = ()  # what results.json says
    is_run: bool = False  # whether there is a results.json
    unknown_labels: tuple[tuple[str, str], ...] = ()  # word and message

    @property
    def utterances_key(self) -> tuple[tuple, ...]:
        """What says that two runs read the same audio."""
        return tuple((u.wav, u.start, u.stop, u.emo) for u in self.utterances)


def runs_below(folder: str | Path) -> list[Path]:
    """Folders with ``results.json``, sorted.

    Raises ValueError when there is none.
    """
    found = sorted(path.parent for path in Path(folder).rglob("results.json"))
    if not found:
        raise ValueError(
            f"{folder}: there is no results.json; give the output folder of a "
            "recipe's train.py, or manifests"
        )
    return found


def from_run(folder: Path) -> Audited:
    """The folds of a recipe's run, made again and compared with the run.

    Raises ValueError when the folds are not those of the run.
    """
    results = read_json(folder / "results.json", _Results)
    protocol = results.protocol
    rows = read_manifest(folder / "manifest" / "all.json")
    if results.classes is not None:  # a regression takes every utterance
        rows = LabelSet(tuple(results.classes)).apply(rows)
    folds = make_folds(
        protocol.name, rows, protocol.n_folds, protocol.split_seed
    )
    seed = results.seeds[0]
    for number, fold in enumerate(folds):
        path = folder / "folds" / f"{number:02d}" / f"seed{seed}/result.json"
        tested = read_json(path, _FoldResult).test
        if list(fold.test) != tested:
            raise ValueError(
                f"{path}: other utterances were tested than {fold.name} of "
                f"{protocol.name} has now; run the recipe again"
            )
    return Audited(
        f"{results.corpus} ({folder})",
        rows,
        folds,
        protocol.name,
        tuple(protocol.marks),
        True,
    )


def from_manifests(
    arguments: Sequence[str],
    protocol: str | None = None,
    n_folds: int = 10,
    seed: int = 42,
) -> Audited:
    """One fold of several manifests, or the folds of one.

    Raises ValueError when a file belongs to no part.
    """
    named = [_part_of(argument) for argument in arguments]
    if len(named) == 1 and not named[0][0]:
        return _one(named[0][1], protocol, n_folds, seed)
    if protocol is not None:
        raise ValueError("--protocol splits a single manifest, not several")
    parts: dict[str, list[str]] = {part: [] for part in OFFICIAL_PARTS}
    rows: dict[str, Utterance] = {}
    for part, path in named:
        if not part:
            raise ValueError(
                f"{path} is neither training, validation nor test; write "
                f"train={path}, valid={path} or test={path}"
            )
        for utterance in read_manifest(path):
            # The same id in two corpora is two utterances.
            name = f"{path.stem}/{utterance.id}" if len(named) > 1 else (
                utterance.id)  # fmt: skip
            rows[name] = replace(utterance, id=name)
            parts[part].append(name)
    fold = Fold("manifests", *(tuple(names) for names in parts.values()))
    listed = list(rows.values())
    title = ", ".join(path.name for _, path in named)
    return Audited(title, listed, [fold], None, unknown_labels=_labels(listed))


def _one(path: Path, protocol: str | None, n_folds: int, seed: int) -> Audited:
    rows = read_manifest(path)
    if protocol is None:
        splits = {u.split for u in rows}
        if splits <= {None}:
            folds = []
        else:
            parts = [
                tuple(u.id for u in rows if u.split == part)
                for part in OFFICIAL_PARTS
            ]
            folds = [Fold("official", *parts)]
    else:
        labelled = [u for u in rows if u.emo is not None]
        folds = make_folds(protocol, labelled, n_folds, seed)
    return Audited(
        str(path), rows, folds, protocol, unknown_labels=_labels(rows)
    )


def _part_of(argument: str) -> tuple[str | None, Path]:
    part, equals, name = argument.rpartition("=")
    path = Path(name)
    if equals and part not in _PARTS:
        raise ValueError(f"{argument}: {part!r} is none of train, valid, test")
    if not path.is_file():
        raise ValueError(f"{path}: there is no such manifest or folder")
    return _PARTS.get(part or path.stem.lower()), path


def _labels(rows: Sequence[Utterance]) -> tuple[tuple[str, str], ...]:
    labelled = [u for u in rows if u.emo is not None]
    missing = len(rows) - len(labelled)
    if not missing or not labelled:
        return ()
    example = next(u.id for u in rows if u.emo is None)
    return (("WRONG", f"{missing} labels unknown, such as that of {example}"),)
