"""Every number of some results, one line an experiment or a score."""

from collections.abc import Iterable

from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.rows import ResultRow
from speechbrain_e2v.report.tables import of_calibration

_COUNTS = ("folds", "seeds", "utterances")
_TESTED = ("best_floor", "minus_best_floor", "p_speakers", "p_utterances",
           "verdict", "warning")  # fmt: skip


def details(rows: Iterable[ResultRow]) -> Table:
    """One line per classification, every score: for a spreadsheet.

    A score by its name alone is pooled over folds; ``averaged`` says which
    average is compared with the paper's.
    """
    header = ["corpus", "protocol", "features", "classifier", *_COUNTS]
    for name in SCORES:
        header += [f"{name}_paper", name, f"{name}_minus_paper"]
        header += [f"{name}_fold_mean", f"{name}_fold_sd"]
        header += [f"{name}_low95", f"{name}_high95"]
        header += [f"{name}_speaker_mean", f"{name}_speaker_sd"]
        header += [f"{name}_speaker_min", f"{name}_speaker_max"]
    header += ["ece", "confidence", "recall", *_TESTED]
    lines = []
    for row in rows:
        line = list(_about(row))
        printed = row.paper.scores if row.paper else {}
        for name in SCORES:
            values = [printed.get(name), row.pooled[name], row.difference(name)]
            values += [*_spread(row, name), *_of_speakers(row, name)]
            line += [_plain(v, 2) for v in values]
        line += [_plain(value, 2) for value in of_calibration(row)]
        line.append("; ".join(f"{n} {v:.2f}" for n, v in row.recall.items()))
        line += _best_floor(row, {test.score for test in row.tests})
        lines.append((*line, row.averaged, "; ".join(row.caveats)))
    return Table((*header, "averaged", "marks"), tuple(lines))


def rating_details(rows: Iterable[ResultRow]) -> Table:
    """One line per regression and score: for a spreadsheet."""
    header = ("corpus", "protocol", "features", "regressor", *_COUNTS,
              "score", "value", "fold_mean", "fold_sd", "low95", "high95",
              *_TESTED, "marks")  # fmt: skip
    lines = []
    for row in rows:
        first = _about(row)
        for name, value in row.pooled.items():
            numbers = (_plain(v, 4) for v in (value, *_spread(row, name)))
            tested = _best_floor(row, {name})
            marks = "; ".join(row.caveats)
            lines.append((*first, name, *numbers, *tested, marks))
    return Table(header, tuple(lines))


def _about(row: ResultRow) -> tuple[str, ...]:
    counts = map(str, (row.folds, row.seeds, row.utterances))
    return row.corpus, row.protocol, row.features, row.predictor, *counts


def _spread(row: ResultRow, name: str) -> tuple[float | None, ...]:
    """Mean and deviation over folds, both ends of the interval."""
    spread = row.fold_spread[name]
    ends = (row.interval95 or {}).get(name, (None, None))
    return spread.mean, spread.sd, *ends


def _of_speakers(row: ResultRow, name: str) -> tuple[float | None, ...]:
    if row.speaker_spread is None:
        return (None,) * 4
    spread = row.speaker_spread.scores[name]
    return spread.mean, spread.sd, spread.min, spread.max


def _best_floor(row: ResultRow, scores: set[str]) -> list[str]:
    """Cells of :data:`_TESTED`, empty where nothing was tested."""
    for test in row.tests:
        if test.is_best and test.score in scores:
            return [
                test.floor,
                _plain(test.difference.difference, 4),
                _plain(test.p_speakers, 4),
                _plain(test.p_utterances, 4),
                test.verdict,
                row.warning(test.score) or "",
            ]
    return [""] * len(_TESTED)


def _plain(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
