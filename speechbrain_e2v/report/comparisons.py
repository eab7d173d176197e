"""Tables of differences: row against row, and every row against its floors."""

import itertools
from collections.abc import Iterable

from speechbrain_e2v.downstream.regression.targets import decimals
from speechbrain_e2v.report.caveats import NOTHING
from speechbrain_e2v.report.floors import experiments, predictions_of
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.rows import ResultRow, baselines_first
from speechbrain_e2v.report.significance import (
    PairedDifference,
    holm,
    paired_difference,
)
from speechbrain_e2v.report.tables import main_metric


def comparisons(rows: Iterable[ResultRow], metric: str = "auto") -> Table:
    """Every two kinds of features on the same utterances, pooled.

    Of classifications whose ``predictions.csv`` is there; p as it is, and
    corrected by Holm for all lines.
    """
    names, found = [], []
    for some in experiments(row for row in rows if not row.scales):
        read = [
            (row, predictions_of(row))
            for row in sorted(some, key=lambda r: baselines_first(r.features))
            if not row.computed
        ]
        for (worse, theirs), (better, ours) in itertools.combinations(read, 2):
            if ours is None or theirs is None:
                continue
            score = main_metric(better.corpus, better.protocol, metric)
            pair = f"{better.features} - {worse.features}"
            names.append((better.corpus, better.protocol, pair))
            found.append((score, paired_difference(ours, theirs, score)))
    corrected = holm([difference.p for _, difference in found])
    lines = (
        (*about, _points(score, difference), _interval(score, difference))
        + (f"{difference.p:.4f}", f"{p:.4f}", str(difference.speakers))
        for about, (score, difference), p in zip(
            names, found, corrected, strict=True
        )
    )
    header = ("corpus", "protocol", "difference of", "points",
              "95 % over speakers", "p", "p (Holm)", "speakers")  # fmt: skip
    return Table(header, tuple(lines))


def against_floors(rows: Iterable[ResultRow]) -> Table:
    """Every test of :func:`~speechbrain_e2v.report.floor_tests.with_tests`."""
    lines = [
        (row.corpus, row.protocol, row.features)
        + (f"{test.floor} (the best)" if test.is_best else test.floor,)
        + (_points(test.score, test.difference),)
        + (_interval(test.score, test.difference),)
        + (f"{test.p_speakers:.4f} ({test.difference.speakers})",)
        + (
            NOTHING
            if test.mcnemar is None
            else f"{test.p_utterances:.4f} ({test.mcnemar.first_only} : "
            f"{test.mcnemar.second_only})",
            test.verdict,
        )
        for row in rows
        for test in row.tests
    ]
    header = ("corpus", "protocol", "features", "floor", "points",
              "95 % over speakers", "p (speakers)", "McNemar's p (only one "
              "right)", "verdict")  # fmt: skip
    return Table(header, tuple(lines))


def _points(score: str, found: PairedDifference) -> str:
    title = score.upper().replace("_", "-")
    return f"{title} {found.difference:+.{decimals(score)}f}"


def _interval(score: str, found: PairedDifference) -> str:
    if found.interval95 is None:
        return NOTHING
    digits = decimals(score)
    digits -= digits == 2  # of percent one is enough
    return " to ".join(f"{end:+.{digits}f}" for end in found.interval95)
