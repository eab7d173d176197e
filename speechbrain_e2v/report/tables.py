"""The tables that results become."""

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
from speechbrain_e2v.report.rows import ResultRow, baselines_first

_EXPERIMENT = ("corpus", "protocol", "features")


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
    the latter alone where it is the headline, and the floor that the row is not
    better than; ``letters`` are of :func:`caveat_letters`, those of ``rows``
    unless given.
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
            + tuple(_number(row.pooled[score]) for score in SCORES)
            + (f"{spread.mean:.2f} +- {spread.sd:.2f}",)
            + (f"{spread.min:.2f} to {spread.max:.2f}",)
            + (f"{row.folds} x {row.seeds}",)
        )
    header = (*_EXPERIMENT, "classifier", "WA pooled", "UA pooled",
              "WF1 pooled", "MACRO-F1 pooled", "folds: mean +- sd",
              "folds: range",
              "folds x seeds")  # fmt: skip
    return Table(header, tuple(lines))


def profile(rows: Iterable[ResultRow]) -> Table:
    """What one score hides: classes, speakers, and how sure it was.

    Of classifications. Recall is of all predictions, one class after another;
    accuracy of each speaker; the expected calibration error beside the mean
    confidence. Files of version 0.1.0 lack them.
    """
    lines = []
    for row in rows:
        spread = row.speaker_spread
        recall = ", ".join(f"{n} {v:.0f}" for n, v in row.recall.items())
        speakers = NOTHING
        if spread is not None:
            wa = spread.scores["wa"]
            speakers = (
                f"{wa.mean:.1f} +- {wa.sd:.1f} ({wa.min:.1f} to {wa.max:.1f})"
            )
        lines.append(
            (*_experiment(row), _number(row.pooled["macro_f1"]))
            + (speakers,)
            + tuple(_number(value) for value in of_calibration(row))
            + (recall or NOTHING,)
        )
    header = (*_EXPERIMENT, "MACRO-F1 pooled", "WA of each speaker", "ECE",
              "confidence", "recall")  # fmt: skip
    return Table(header, tuple(lines))


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
            _warnings(row),
            caveat_codes([row], letters),
        )
        for row in rows
        for rating in row.scales
    ]
    header = (*_EXPERIMENT, "regressor", "rating", "CCC", "r", "MAE",
              "tested (folds x seeds)", "against floors",
              "marks")  # fmt: skip
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


def of_calibration(row: ResultRow) -> tuple[float | None, float | None]:
    """Expected calibration error and mean confidence, percent."""
    about = row.calibration
    return (None, None) if about is None else (about.ece, about.confidence)


def _experiment(row: ResultRow) -> tuple[str, str, str]:
    return row.corpus, row.protocol, row.features


def _warnings(row: ResultRow) -> str:
    """Of a regression: by the floor, and in which scores."""
    scores = dict.fromkeys(test.score for test in row.tests)
    found = [(score.upper(), row.warning(score)) for score in scores]
    said = [f"{score} {warning}" for score, warning in found if warning]
    return "; ".join(said) or NOTHING


def _score_cell(
    column: str,
    rows: Iterable[ResultRow],
    absent: dict[str | None, str],
    metric: str,
) -> str:
    cells = [
        ": ".join(filter(None, (_cell(row, metric, 2, 1), row.warning(metric))))
        for row in rows
        if row.features == column
    ]
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
