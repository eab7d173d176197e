"""What a score has to beat, computed of the labels where nobody ran it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from speechbrain_e2v.downstream.regression.targets import rating_scores
from speechbrain_e2v.downstream.results import POOLED
from speechbrain_e2v.metrics import (
    SCORES,
    floor_confusions,
    fold_spread,
    recalls,
    scores_of_confusions,
)
from speechbrain_e2v.report.predictions import (
    PAIRS,
    Predictions,
    read_predictions,
)
from speechbrain_e2v.report.results_file import Spread
from speechbrain_e2v.report.rows import (
    CONSTANT,
    PRIOR,
    ResultRow,
    in_order,
)

PREDICTOR = "of the labels tested"
_Scores = dict[str, float]


def with_floors(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Constant and prior beside every experiment, in order.

    ``constant`` is always the most frequent class, or the mean rating;
    ``prior`` what is to be expected of classes drawn by their frequency. Here
    both know the labels that are tested, so that a run of them, which knows
    those of training, is not better; where there is one, it stays alone.
    """
    rows = in_order(rows)
    found = list(rows)
    for some in experiments(rows):
        names = {row.features for row in some}
        first = next((r for r in some if _predictions(r).is_file()), None)
        if first is None or {CONSTANT, PRIOR} <= names:
            continue
        made = _rated(first) if first.scales else _classified(first)
        found += [row for row in made if row.features not in names]
    return in_order(found)


def experiments(rows: Iterable[ResultRow]) -> Iterator[list[ResultRow]]:
    """Rows that can be compared: of one corpus, protocol and task."""
    for _, group in groupby(
        in_order(rows), lambda row: (row.corpus, row.protocol)
    ):
        here = list(group)
        for rated in (False, True):
            some = [row for row in here if bool(row.scales) == rated]
            if some:
                yield some


def predictions_of(row: ResultRow) -> Predictions | None:
    """What a row says of every utterance, one that was computed too.

    ``None`` without a ``predictions.csv``, and of a computed prior: that is
    what is to be expected of draws that nobody made.
    """
    path = _predictions(row)
    if not path.is_file() or (row.computed and row.floor == PRIOR):
        return None
    if not row.scales:
        found = read_predictions(path, PAIRS)
        if row.computed:
            names, counts = np.unique(found["reference"], return_counts=True)
            most = str(names[counts.argmax()])
            found["predicted"] = [most] * len(found["id"])
        return found
    kinds = ("reference", "predicted")
    columns = [f"{kind}({rating})" for rating in row.scales for kind in kinds]
    found = read_predictions(path, columns)
    if row.computed:
        for rating in row.scales:
            values = np.array(found[f"reference({rating})"], dtype=float)
            mean = repr(float(values.mean()))
            found[f"predicted({rating})"] = [mean] * len(values)
    return found


def _predictions(row: ResultRow) -> Path:
    return row.folder / "predictions.csv"


def _classified(row: ResultRow) -> list[ResultRow]:
    found = _first_seed(row, ["reference"])
    classes, codes = np.unique(found["reference"], return_inverse=True)
    _, folds = np.unique(found["fold"], return_inverse=True)
    counts = np.zeros((folds.max() + 1, len(classes)))  # [F, C]
    np.add.at(counts, (folds, codes), 1)
    made = []
    for name, each in floor_confusions(counts).items():  # [F, C, C]
        of_folds = scores_of_confusions(each)
        pooled = scores_of_confusions(each.sum(axis=0, keepdims=True))
        recall = recalls(each.sum(axis=0))
        made.append(
            _floor(
                row,
                name,
                {score: float(pooled[score][0]) for score in SCORES},
                {score: of_folds[score].tolist() for score in SCORES},
                {str(classes[code]): value for code, value in recall},
            )
        )
    return made


def _rated(row: ResultRow) -> list[ResultRow]:
    columns = [f"reference({rating})" for rating in row.scales]
    found = _first_seed(row, columns)
    reference = np.array([found[c] for c in columns], dtype=float).T  # [N, n]
    constant = np.broadcast_to(reference.mean(axis=0), reference.shape)
    folds = np.array(found["fold"])
    each = [
        rating_scores(reference[here], constant[here], row.scales)
        for here in (folds == name for name in dict.fromkeys(found["fold"]))
    ]
    pooled = rating_scores(reference, constant, row.scales)
    scores = {name: [fold[name] for fold in each] for name in pooled}
    return [_floor(row, CONSTANT, pooled, scores)]


def _first_seed(row: ResultRow, columns: list[str]) -> dict[str, list[str]]:
    """Every utterance once a fold: labels do not change with the seed."""
    found = read_predictions(_predictions(row), columns)
    kept = [seed == found["seed"][0] for seed in found["seed"]]
    return {
        name: [v for v, yes in zip(values, kept, strict=True) if yes]
        for name, values in found.items()
    }


def _floor(
    row: ResultRow,
    name: str,
    pooled: _Scores,
    folds: dict[str, list[float]],
    recall: _Scores | None = None,
) -> ResultRow:
    spread = {score: Spread(**fold_spread(folds[score])) for score in folds}
    means = {score: spread[score].mean for score in spread}
    return replace(
        row,
        features=name,
        predictor=PREDICTOR,
        trained=False,
        headline=pooled if row.averaged == POOLED else means,
        pooled=pooled,
        fold_spread=spread,
        interval95=None,
        caveats=(),
        seeds=1,
        computed=True,
        recall=recall or {},
        calibration=None,
        speaker_spread=None,
        upstream_parameters=None,
        downstream_parameters=None,
    )
