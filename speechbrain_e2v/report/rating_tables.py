"""The tables that results of regressions become."""

from speechbrain_e2v.downstream.regression.metrics import CORRELATIONS
from speechbrain_e2v.downstream.regression.results import decimals
from speechbrain_e2v.downstream.regression.sentiment_metrics import (
    POLARITY,
    has_polarity,
    steps_name,
)
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.paper import paper_row

NOTHING = "-"
ABOUT = """CCC and r of -1 to 1, MAE in units of the scale, in brackets the 95 %
interval when speakers are drawn again.
"""
ABOUT_POLARITY = """Of the same predictions: two classes by sign, percent,
either "negative or not" of all segments (has 0) or the sign of those that are
not zero (non 0); and whole steps. `paper` is the weighted F1 of emotion2vec
base as printed, of a *classifier* of the segments that are not zero: another
task.
"""


def rating_overview(rows, letters):
    """One line per experiment and rating.

    Arguments
    ---------
    rows : sequence of RatingRow
        Results.
    letters : dict of str to str
        Of the marks.

    Returns
    -------
    Table
        Cells are ``pooled score [95 % interval by speaker]``.
    """
    lines = [
        (
            row.corpus,
            row.protocol,
            row.features,
            row.regressor,
            rating,
            *(_cell(row, f"{score}_{rating}") for score in CORRELATIONS),
            f"{row.utterances} ({row.folds} x {row.seeds})",
            " ".join(sorted(letters[mark] for mark in row.marks)) or NOTHING,
        )
        for row in rows
        for rating in row.scales
    ]
    header = ("corpus", "protocol", "features", "regressor", "rating", "CCC",
              "r", "MAE", "tested (folds x seeds)", "marks")  # fmt: skip
    return Table(header, tuple(lines))


def polarity_overview(rows):
    """The scores of sentiment, one line per experiment.

    Arguments
    ---------
    rows : sequence of RatingRow
        Results; those without a scale of both signs are left out.

    Returns
    -------
    Table
    """
    lines = []
    for row in rows:
        paper = paper_row(row.corpus, row.protocol)
        printed = paper.scores.get("wf1") if paper else None
        for rating, scale in row.scales.items():
            if has_polarity(scale):
                names = [f"{n}_{rating}" for n in POLARITY]
                steps = f"{steps_name(scale)}_{rating}"
                lines.append(
                    (row.corpus, row.protocol, row.features, row.regressor)
                    + tuple(_cell(row, name) for name in (*names, steps))
                    + (NOTHING if printed is None else f"{printed:.2f}",)
                )
    header = ("corpus", "protocol", "features", "regressor", "Acc-2 has 0",
              "WF1 has 0", "Acc-2 non 0", "WF1 non 0", "steps",
              "paper")  # fmt: skip
    return Table(header, tuple(lines))


def _cell(row, name):
    digits = decimals(name)
    text = f"{row.pooled[name]:.{digits}f}"
    if row.interval95 is None or name not in row.interval95:
        return text
    low, high = row.interval95[name]
    digits = 1 if digits == 2 else digits
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def rating_details(rows):
    """One line per experiment and score: for a spreadsheet.

    Arguments
    ---------
    rows : sequence of RatingRow
        Results.

    Returns
    -------
    Table
    """
    header = ("corpus", "protocol", "features", "regressor", "folds", "seeds",
              "utterances", "score", "value", "fold_mean", "fold_sd", "low95",
              "high95", "marks")  # fmt: skip
    lines = []
    for row in rows:
        first = (row.corpus, row.protocol, row.features, row.regressor)
        first += (str(row.folds), str(row.seeds), str(row.utterances))
        for name, value in row.pooled.items():
            spread = row.fold_spread[name]
            ends = (row.interval95 or {}).get(name, (None, None))
            values = (value, spread["mean"], spread["sd"], *ends)
            numbers = ("" if v is None else f"{v:.4f}" for v in values)
            lines.append((*first, name, *numbers, "; ".join(row.marks)))
    return Table(header, tuple(lines))


def short_scores(row):
    """The scores of a regression in one line, for the matrix.

    Arguments
    ---------
    row : RatingRow
        A result.

    Returns
    -------
    str
    """
    each = ", ".join(
        f"{rating} {row.pooled[f'ccc_{rating}']:.3f}" for rating in row.scales
    )
    mae = row.pooled["mae"]
    return f"{row.features}, {row.regressor}: CCC {each}; MAE {mae:.3f}"
