"""The tables that results become."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from speechbrain_e2v.downstream.regression.metrics import (
    CORRELATIONS,
    POLARITY,
    has_polarity,
    steps_name,
)
from speechbrain_e2v.downstream.regression.targets import decimals
from speechbrain_e2v.downstream.results import POOLED
from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.report.caveats import (
    NOTHING,
    caveat_codes,
    caveat_letters,
)
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.paper import paper_row
from speechbrain_e2v.report.predictions import read_predictions
from speechbrain_e2v.report.rows import ResultRow, baselines_first
from speechbrain_e2v.report.significance import paired_difference

_EXPERIMENT = ("corpus", "protocol", "features")
_COUNTS = ("folds", "seeds", "utterances")


@dataclass(frozen=True)
class Missing:
    """An experiment without a result: ``no data``, or ``failed: ...``.

    ``features`` is its column, ``None`` for all of them.
    """

    corpus: str
    protocol: str
    features: str | None
    why: str


def main_metric(corpus: str, protocol: str, wanted: str = "auto") -> str:
    """The score that stands for an experiment.

    ``auto`` is what the paper prints first, else ``wa``.

    >>> main_metric("CMU-MOSI", "official"), main_metric("EmoDB", "x")
    ('wf1', 'wa')
    """
    if wanted != "auto":
        return wanted
    paper = paper_row(corpus, protocol)
    return next(iter(paper.scores)) if paper else "wa"


def overview(
    rows: Sequence[ResultRow],
    missing: Sequence[Missing] = (),
    metric: str = "auto",
    letters: dict[str, str] | None = None,
) -> Table:
    """One line per corpus and protocol, one column per kind of features.

    Cells are ``mean over folds (pooled score [95 % interval by speaker])``, or
    the latter alone where it is the headline; ``letters`` are of
    :func:`caveat_letters`, those of ``rows`` unless given.
    """
    letters = caveat_letters(rows) if letters is None else letters
    named = [row.features for row in rows]
    named += [m.features for m in missing if m.features is not None]
    columns = sorted(dict.fromkeys(named), key=baselines_first)
    keys = {(r.corpus, r.protocol) for r in rows}
    keys |= {(m.corpus, m.protocol) for m in missing}
    lines = []
    for corpus, protocol in sorted(keys, key=lambda k: (k[0].lower(), k[1])):
        here = [r for r in rows if (r.corpus, r.protocol) == (corpus, protocol)]
        absent = {
            m.features: m.why
            for m in missing
            if (m.corpus, m.protocol) == (corpus, protocol)
        }
        name = main_metric(corpus, protocol, metric)
        paper = paper_row(corpus, protocol)
        differences = [row.difference(name) for row in here]
        lines.append(
            (
                corpus,
                protocol,
                _title(name),
                _number(paper.scores.get(name) if paper else None),
                *(
                    _score_cell(column, here, absent, name)
                    for column in columns
                ),
                " / ".join(f"{d:+.2f}" for d in differences if d is not None)
                or NOTHING,
                caveat_codes(here, letters),
            )
        )
    header = ("corpus", "protocol", "score", "paper", *columns)
    return Table((*header, "ours - paper", "marks"), tuple(lines))


def folds_table(rows: Iterable[ResultRow], metric: str = "auto") -> Table:
    """Pooled scores, mean and spread over folds, one line per experiment."""
    lines = []
    for row in rows:
        name = main_metric(row.corpus, row.protocol, metric)
        spread = row.fold_spread[name]
        lines.append(
            (*_experiment(row), row.predictor)
            + tuple(_number(row.pooled[score]) for score in SCORES[:3])
            + (f"{spread.mean:.2f} +- {spread.sd:.2f}",)
            + (f"{spread.min:.2f} to {spread.max:.2f}",)
            + (f"{row.folds} x {row.seeds}",)
        )
    header = (*_EXPERIMENT, "classifier", "WA pooled", "UA pooled",
              "WF1 pooled", "folds: mean +- sd", "folds: range",
              "folds x seeds")  # fmt: skip
    return Table(header, tuple(lines))


def comparisons(rows: Iterable[ResultRow], metric: str = "auto") -> Table:
    """Every two kinds of features on the same utterances, pooled.

    Reads ``predictions.csv`` beside each ``results.json``; p is not corrected
    for the number of comparisons.
    """
    lines = []
    for _, group in itertools.groupby(
        rows, key=lambda row: (row.corpus, row.protocol)
    ):
        ordered = sorted(
            (row for row in group if not row.computed),
            key=lambda row: baselines_first(row.features),
        )
        if len(ordered) < 2:
            continue
        read = {
            id(row): read_predictions(row.folder / "predictions.csv")
            for row in ordered
        }
        for worse, better in itertools.combinations(ordered, 2):
            name = main_metric(better.corpus, better.protocol, metric)
            found = paired_difference(read[id(better)], read[id(worse)], name)
            interval = NOTHING
            if found.interval95 is not None:
                interval = "{:+.1f} to {:+.1f}".format(*found.interval95)
            lines.append(
                (
                    better.corpus,
                    better.protocol,
                    f"{better.features} - {worse.features}",
                    f"{name.upper()} {found.difference:+.2f}",
                    interval,
                    f"{found.p:.4f}",
                    str(found.speakers),
                )
            )
    header = ("corpus", "protocol", "difference of", "points",
              "95 % over speakers", "p", "speakers")  # fmt: skip
    return Table(header, tuple(lines))


def details(rows: Iterable[ResultRow]) -> Table:
    """One line per classification, every score: for a spreadsheet.

    A score by its name alone is pooled over folds; ``averaged`` says which
    average is compared with the paper's.
    """
    header = [*_EXPERIMENT, "classifier", *_COUNTS]
    for name in SCORES:
        header += [f"{name}_paper", name, f"{name}_minus_paper"]
        header += [f"{name}_fold_mean", f"{name}_fold_sd"]
        header += [f"{name}_low95", f"{name}_high95"]
    lines = []
    for row in rows:
        line = [*_experiment(row), row.predictor, *_counts(row)]
        printed = row.paper.scores if row.paper else {}
        for name in SCORES:
            values = [printed.get(name), row.pooled[name], row.difference(name)]
            line += [_plain(v, 2) for v in (*values, *_spread(row, name))]
        lines.append((*line, row.averaged, "; ".join(row.caveats)))
    return Table((*header, "averaged", "marks"), tuple(lines))


def rating_overview(
    rows: Iterable[ResultRow], letters: dict[str, str]
) -> Table:
    """One line per regression and rating; cells as of :func:`overview`."""
    lines = [
        (
            *_experiment(row),
            row.predictor,
            rating,
            *(_rating_cell(row, f"{score}_{rating}") for score in CORRELATIONS),
            f"{row.utterances} ({row.folds} x {row.seeds})",
            caveat_codes([row], letters),
        )
        for row in rows
        for rating in row.scales
    ]
    header = (*_EXPERIMENT, "regressor", "rating", "CCC", "r", "MAE",
              "tested (folds x seeds)", "marks")  # fmt: skip
    return Table(header, tuple(lines))


def polarity_overview(rows: Iterable[ResultRow]) -> Table:
    """The scores of sentiment: of regressions on a scale of both signs."""
    lines = []
    for row in rows:
        printed = row.paper.scores.get("wf1") if row.paper else None
        for rating, scale in row.scales.items():
            if has_polarity(scale):
                scores = (*POLARITY, steps_name(scale))
                lines.append(
                    (*_experiment(row), row.predictor)
                    + tuple(_rating_cell(row, f"{n}_{rating}") for n in scores)
                    + (_number(printed),)
                )
    header = (*_EXPERIMENT, "regressor", "Acc-2 has 0", "WF1 has 0",
              "Acc-2 non 0", "WF1 non 0", "steps", "paper")  # fmt: skip
    return Table(header, tuple(lines))


def rating_details(rows: Iterable[ResultRow]) -> Table:
    """One line per regression and score: for a spreadsheet."""
    header = (*_EXPERIMENT, "regressor", *_COUNTS, "score", "value",
              "fold_mean", "fold_sd", "low95", "high95", "marks")  # fmt: skip
    lines = []
    for row in rows:
        first = (*_experiment(row), row.predictor, *_counts(row))
        for name, value in row.pooled.items():
            numbers = (_plain(v, 4) for v in (value, *_spread(row, name)))
            lines.append((*first, name, *numbers, "; ".join(row.caveats)))
    return Table(header, tuple(lines))


def _experiment(row: ResultRow) -> tuple[str, str, str]:
    return row.corpus, row.protocol, row.features


def _counts(row: ResultRow) -> tuple[str, str, str]:
    return str(row.folds), str(row.seeds), str(row.utterances)


def _spread(row: ResultRow, name: str) -> tuple[float | None, ...]:
    """Mean and deviation over folds, both ends of the interval."""
    spread = row.fold_spread[name]
    ends = (row.interval95 or {}).get(name, (None, None))
    return spread.mean, spread.sd, *ends


def _score_cell(
    column: str,
    rows: Iterable[ResultRow],
    absent: dict[str | None, str],
    metric: str,
) -> str:
    cells = [_cell(row, metric, 2, 1) for row in rows if row.features == column]
    if cells:
        return " / ".join(cells)
    return absent.get(column) or absent.get(None) or NOTHING


def _rating_cell(row: ResultRow, name: str) -> str:
    digits = decimals(name)
    return _cell(row, name, digits, 1 if digits == 2 else digits)


def _cell(row: ResultRow, name: str, digits: int, digits_of_ends: int) -> str:
    """The headline, with what is pooled in parentheses where it is another."""
    text = f"{row.pooled[name]:.{digits}f}"
    if row.interval95 is not None and name in row.interval95:
        ends = (f"{v:.{digits_of_ends}f}" for v in row.interval95[name])
        text = "{} [{}, {}]".format(text, *ends)
    if row.averaged == POOLED or row.folds == 1:
        return text
    return f"{row.headline[name]:.{digits}f} (pooled {text})"


def _title(metric: str) -> str:
    return metric.upper().replace("_", "-")


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _plain(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
