"""The tables that results become."""

import itertools
from dataclasses import dataclass

from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.paper import paper_row
from speechbrain_e2v.report.rows import baselines_first
from speechbrain_e2v.report.significance import (
    paired_difference,
    read_predictions,
)

NOTHING = "-"


@dataclass(frozen=True)
class Missing:
    """An experiment without a result.

    Arguments
    ---------
    corpus, protocol : str
        Which.
    features : str or None
        Column; ``None`` for all of them.
    why : str
        ``no data``, or ``failed: ...``.

    Example
    -------
    >>> Missing("SAVEE", "random_kfold", None, "no data").why
    'no data'
    """

    corpus: str
    protocol: str
    features: str | None
    why: str


def main_metric(corpus, protocol, wanted="auto"):
    """The score that stands for an experiment.

    Arguments
    ---------
    corpus, protocol : str
        As in ``results.json``.
    wanted : str
        A score, or ``auto``: what the paper prints first, else ``wa``.

    Returns
    -------
    str

    Example
    -------
    >>> main_metric("CMU-MOSI", "official"), main_metric("EmoDB", "x")
    ('wf1', 'wa')
    """
    if wanted != "auto":
        return wanted
    paper = paper_row(corpus, protocol)
    return next(iter(paper.scores)) if paper else "wa"


def number_marks(rows):
    """Letters for the marks of results.

    Arguments
    ---------
    rows : iterable of ResultRow
        Results.

    Returns
    -------
    dict of str to str
        Mark to ``a``, ``b``, ... in order of first use.
    """
    marks = dict.fromkeys(mark for row in rows for mark in row.marks)
    return {mark: _letters(number) for number, mark in enumerate(marks)}


def _letters(number):
    letters = chr(ord("a") + number % 26)
    return letters if number < 26 else _letters(number // 26 - 1) + letters


def overview(rows, missing=(), metric="auto"):
    """One line per corpus and protocol, one column per kind of features.

    Arguments
    ---------
    rows : sequence of ResultRow
        Results.
    missing : sequence of Missing
        What has no result.
    metric : str
        As for :func:`main_metric`.

    Returns
    -------
    Table
        Cells are ``pooled score [95 % interval by speaker]``.
    """
    letters = number_marks(rows)
    columns = list(dict.fromkeys(row.features for row in rows))
    columns += [
        m.features
        for m in missing
        if m.features is not None and m.features not in columns
    ]
    columns = list(dict.fromkeys(sorted(columns, key=baselines_first)))
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
        marks = dict.fromkeys(m for r in here for m in r.marks)
        lines.append(
            (
                corpus,
                protocol,
                name.upper().replace("_", "-"),
                _number(paper.scores.get(name) if paper else None),
                *(_cell(column, here, absent, name) for column in columns),
                _best_difference(here, name),
                " ".join(sorted(letters[m] for m in marks)) or NOTHING,
            )
        )
    header = ("corpus", "protocol", "score", "paper", *columns)
    return Table((*header, "ours - paper", "marks"), tuple(lines))


def _cell(column, rows, absent, metric):
    cells = [
        f"{row.pooled[metric]:.2f}{_interval(row, metric)}"
        for row in rows
        if row.features == column
    ]
    if cells:
        return " / ".join(cells)
    return absent.get(column) or absent.get(None) or NOTHING


def _interval(row, metric):
    if row.interval95 is None:
        return ""
    low, high = row.interval95[metric]
    return f" [{low:.1f}, {high:.1f}]"


def _best_difference(rows, metric):
    found = [row.difference(metric) for row in rows]
    return " / ".join(f"{d:+.2f}" for d in found if d is not None) or NOTHING


def _number(value):
    return NOTHING if value is None else f"{value:.2f}"


def details(rows):
    """One line per experiment, every score: for a spreadsheet.

    Arguments
    ---------
    rows : sequence of ResultRow
        Results.

    Returns
    -------
    Table
    """
    header = ["corpus", "protocol", "features", "classifier", "folds", "seeds",
              "utterances"]  # fmt: skip
    for name in SCORES:
        header += [f"{name}_paper", name, f"{name}_minus_paper"]
        header += [f"{name}_fold_mean", f"{name}_fold_sd"]
        header += [f"{name}_low95", f"{name}_high95"]
    lines = []
    for row in rows:
        line = [row.corpus, row.protocol, row.features, row.classifier]
        line += [str(row.folds), str(row.seeds), str(row.utterances)]
        printed = row.paper.scores if row.paper else {}
        for name in SCORES:
            spread = row.fold_spread[name]
            low, high = (row.interval95 or {}).get(name, (None, None))
            values = [printed.get(name), row.pooled[name]]
            values += [row.difference(name), spread["mean"], spread["sd"]]
            line += [_plain(value) for value in (*values, low, high)]
        lines.append((*line, "; ".join(row.marks)))
    return Table((*header, "marks"), tuple(lines))


def _plain(value):
    return "" if value is None else f"{value:.2f}"


def folds_table(rows, metric="auto"):
    """Mean and spread over folds, one line per experiment.

    Arguments
    ---------
    rows : sequence of ResultRow
        Results.
    metric : str
        As for :func:`main_metric`.

    Returns
    -------
    Table
    """
    lines = []
    for row in rows:
        name = main_metric(row.corpus, row.protocol, metric)
        spread = row.fold_spread[name]
        lines.append(
            (row.corpus, row.protocol, row.features, row.classifier)
            + tuple(_number(row.pooled[score]) for score in SCORES[:3])
            + (f"{spread['mean']:.2f} +- {spread['sd']:.2f}",)
            + (f"{spread['min']:.2f} to {spread['max']:.2f}",)
            + (f"{row.folds} x {row.seeds}",)
        )
    header = ("corpus", "protocol", "features", "classifier", "WA", "UA", "WF1",
              "folds: mean +- sd", "folds: range", "folds x seeds")  # fmt: skip
    return Table(header, tuple(lines))


def comparisons(rows, metric="auto"):
    """Every two kinds of features on the same utterances.

    Arguments
    ---------
    rows : sequence of ResultRow
        Results, with ``predictions.csv`` beside each ``results.json``.
    metric : str
        As for :func:`main_metric`.

    Returns
    -------
    Table
        p is not corrected for the number of comparisons.
    """
    lines = []
    for _, group in itertools.groupby(
        rows, key=lambda row: (row.corpus, row.protocol)
    ):
        ordered = sorted(group, key=lambda r: baselines_first(r.features))
        read = {
            id(row): read_predictions(row.folder / "predictions.csv")
            for row in ordered
        }
        for worse, better in itertools.combinations(ordered, 2):
            name = main_metric(better.corpus, better.protocol, metric)
            found = paired_difference(read[id(better)], read[id(worse)], name)
            interval = found["interval95"] or ("", "")
            low, high = (f"{v:+.1f}" if v != "" else v for v in interval)
            lines.append(
                (
                    better.corpus,
                    better.protocol,
                    f"{better.features} - {worse.features}",
                    f"{name.upper()} {found['difference']:+.2f}",
                    f"{low} to {high}" if low else NOTHING,
                    f"{found['p']:.4f}",
                    str(found["speakers"]),
                )
            )
    header = ("corpus", "protocol", "difference of", "points",
              "95 % over speakers", "p", "speakers")  # fmt: skip
    return Table(header, tuple(lines))
