"""``results.json``, read: what tables need of it, by a schema.

Files of every version since 0.1.0 are read; keys have only been added.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec

from speechbrain_e2v.downstream.regression.metrics import (
    CORRELATIONS,
    POLARITY,
    has_polarity,
    steps_name,
)
from speechbrain_e2v.downstream.results import FORMAT
from speechbrain_e2v.files.documents import BadDocument, read_json
from speechbrain_e2v.metrics import SCORES

_WAY_OUT = "run the recipe again"
_NEVER_TESTED = " utterances are never tested"
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Scores = dict[str, float]


class Spread(msgspec.Struct):
    """A score over folds; ``sd`` with n - 1."""

    mean: float
    sd: float
    min: float
    max: float


class Protocol(msgspec.Struct):
    """How it was tested, and what a reader has to know."""

    name: str
    n_folds: _Positive
    marks: list[str]


class Made(msgspec.Struct):
    """What made features or predictions: an upstream, classifier, regressor."""

    kind: str
    card: dict[str, Any] | None = None
    source: str | None = None
    head: dict[str, Any] | None = None
    objective: str | None = None
    parameters: _Count | None = None


class TrainedFold(msgspec.Struct):
    """A fold of one seed; ``parameters`` of its head."""

    parameters: _Count | None = None


class Headline(msgspec.Struct):
    """The scores that stand for the experiment, and which average they are."""

    scores: _Scores
    averaged: str = msgspec.field(name="is")


class Calibration(msgspec.Struct):
    """How far probabilities can be believed, percent."""

    ece: float
    confidence: float


class SpeakerSpread(msgspec.Struct):
    """Scores over speakers."""

    speakers: _Positive
    scores: dict[str, Spread]


class Results(msgspec.Struct):
    """One experiment; a regression has ``regressor`` and ``scales``."""

    format: int
    corpus: str
    protocol: Protocol
    seeds: Annotated[list[int], msgspec.Meta(min_length=1)]
    upstream: Made
    pooled: _Scores
    fold_spread: dict[str, Spread]
    interval95: dict[str, tuple[float, float]] | None
    classifier: Made | None = None
    regressor: Made | None = None
    scales: dict[str, tuple[float, float]] = {}
    counts: dict[str, _Count] = {}
    n_tested: _Count = 0
    conversation: dict[str, Any] | None = None
    headline: Headline | None = None
    recall: _Scores = {}
    calibration: Calibration | None = None
    speaker_spread: SpeakerSpread | None = None
    folds: list[TrainedFold] = []


def read_results(path: str | Path) -> Results:
    """Read and check a ``results.json``.

    Raises BadDocument naming file and key.
    """
    results = read_json(path, Results, way_out=_WAY_OUT)
    if results.format != FORMAT:
        raise _bad(path, f"format {results.format}, where {FORMAT} is read")
    if (results.classifier is None) == (results.regressor is None):
        raise _bad(path, "neither a classifier nor a regressor alone")
    if results.regressor is not None and not results.scales:
        raise _bad(path, "scales: a regression without any")
    if results.regressor is None:
        results.scales = {}
    protocol = results.protocol
    protocol.marks = said_rightly(protocol.name, protocol.marks)
    names = list(SCORES) if results.regressor is None else [
        f"{score}_{rating}"
        for rating, scale in results.scales.items()
        for score in (
            *CORRELATIONS,
            *((*POLARITY, steps_name(scale)) if has_polarity(scale) else ()),
        )
    ] + ["mae"]  # fmt: skip
    where: dict[str, Iterable[str]] = {
        "pooled": results.pooled,
        "fold_spread": results.fold_spread,
    }
    if results.headline is not None:
        where["headline.scores"] = results.headline.scores
    if results.interval95 is not None and results.regressor is None:
        where["interval95"] = results.interval95
    for key, scores in where.items():
        for name in names:
            if name not in scores:
                raise _bad(path, f"{key}: no score {name}")
    return results


def said_rightly(protocol: str, marks: Iterable[str]) -> list[str]:
    """Marks without what 0.1.0 said of an official split's training data.

    >>> said_rightly("official", ["2 of 9 utterances are never tested", "x"])
    ['x']
    """
    if not protocol.startswith("official"):
        return list(marks)
    return [mark for mark in marks if not mark.endswith(_NEVER_TESTED)]


def _bad(path: str | Path, problem: str) -> BadDocument:
    return BadDocument(f"{path}: {problem}: {_WAY_OUT}.")
