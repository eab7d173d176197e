"""A page of results: overview, folds, comparisons, marks."""

from speechbrain_e2v.report import rating_tables
from speechbrain_e2v.report.recipe_index import legend_of
from speechbrain_e2v.report.tables import (
    comparisons,
    folds_table,
    number_marks,
    overview,
)

_ABOUT = """Percent, pooled over folds, in brackets the 95 % interval when
speakers are drawn again. `paper` is emotion2vec base as printed; differences
from it are of trained encoders only.
"""
_PAIRS = """p: two-sided, predictions of whole speakers swapped; not corrected
for the number of comparisons. With few speakers it cannot be small: S speakers
give at least 2 / 2^S.
"""


def results_page(rows, missing=(), metric="auto", title="Results", ratings=()):
    """Markdown with every table of some results.

    Arguments
    ---------
    rows : sequence of ResultRow
        Results.
    missing : sequence of Missing
        Experiments without a result.
    metric : str
        A score, or ``auto``: what the paper prints first.
    title : str
        Heading.
    ratings : sequence of RatingRow
        Results of regressions.

    Returns
    -------
    str
    """
    parts = [f"# {title}\n"]
    if rows or missing or not ratings:
        parts += [_ABOUT, overview(rows, missing, metric).markdown()]
    legend = legend_of([*rows, *ratings])
    if legend:
        parts.append("\n" + legend)
    if rows:
        parts.append("\n## Over folds\n")
        parts.append(folds_table(rows, metric).markdown())
        pairs = comparisons(rows, metric)
        if pairs.rows:
            parts.append(f"\n## Paired differences\n\n{_PAIRS}")
            parts.append(pairs.markdown())
    if ratings:
        parts += _regressions(ratings, number_marks([*rows, *ratings]))
    return "\n".join(parts) + "\n"


def _regressions(ratings, letters):
    table = rating_tables.rating_overview(ratings, letters)
    parts = ["\n## Regression\n", rating_tables.ABOUT, table.markdown()]
    polarity = rating_tables.polarity_overview(ratings)
    if polarity.rows:
        parts += ["\n" + rating_tables.ABOUT_POLARITY, polarity.markdown()]
    return parts
