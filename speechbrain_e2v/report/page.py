"""A page of results: overview, folds, comparisons, marks."""

from collections.abc import Sequence

from speechbrain_e2v.report.caveats import caveat_letters, legend
from speechbrain_e2v.report.comparisons import against_floors, comparisons
from speechbrain_e2v.report.formats import markdown_text
from speechbrain_e2v.report.rows import ResultRow
from speechbrain_e2v.report.tables import (
    Missing,
    folds_table,
    overview,
    polarity_overview,
    profile,
    rating_overview,
)

_ABOUT = """Percent, mean over folds as the released code averages, and in
parentheses pooled over folds with the 95 % interval when speakers are drawn
again; a single fold and conversations are pooled alone. `paper` is emotion2vec
base as printed; differences from it are of trained encoders' means (of
conversations: pooled scores) only. Scores of MFCCs differ by up to half a
point from one kind of processor to another: an utterance or two.
"""
_COMPUTED = """`constant` (the most frequent class) and `prior` (what is to be
expected of classes drawn by their frequency) are, where nobody ran them,
computed of the labels that are tested.
"""
_PAIRS = """Of pooled scores. p: two-sided, predictions of whole speakers
swapped; and corrected by Holm for all lines of this table. With few speakers
it cannot be small: S speakers give at least 2 / 2^S.
"""
_FLOORS = """Every row against the best floor of its corpus and protocol, the
constant and the MFCC statistics, on the same utterances, pooled. p: two-sided,
whole speakers swapped (how many there are), and McNemar's exact test, each
utterance counted once (how many only the row, and only the floor, has right);
both corrected by Holm for all rows, each of the three questions apart.
"Better" is p of at most 0.02 by speakers, and by utterances where WA is the
score; "not better" what has a larger p even without the correction.
"""
_PROFILE = """Recall of every class in percent of its utterances; mean,
deviation and range of the accuracy of each speaker; ECE, the expected
calibration error in percent over 15 bins of equal width, beside the mean
confidence.
"""
_RATINGS = """CCC and r of -1 to 1, MAE in units of the scale; mean over folds,
and in parentheses pooled over folds with the 95 % interval when speakers are
drawn again. `constant` is the mean rating.
"""
_POLARITY = """Of the same predictions: two classes by sign, percent,
either "negative or not" of all segments (has 0) or the sign of those that are
not zero (non 0); and whole steps. `paper` is the weighted F1 of emotion2vec
base as printed, of a *classifier* of the segments that are not zero: another
task.
"""


def results_page(
    rows: Sequence[ResultRow],
    missing: Sequence[Missing] = (),
    metric: str = "auto",
    title: str = "Results",
) -> str:
    """Markdown with every table of some results."""
    classified = [row for row in rows if not row.scales]
    rated = [row for row in rows if row.scales]
    letters = caveat_letters([*classified, *rated])
    parts = [f"# {title}\n"]
    if classified or missing or not rated:
        table = overview(classified, missing, metric, letters)
        parts += [_ABOUT, *_about_floors(classified), table.markdown()]
    if letters:
        parts.append("\n" + legend(letters))
    if classified:
        parts.append("\n## Over folds\n")
        parts.append(folds_table(classified, metric).markdown())
        parts.append(f"\n## Classes and speakers\n\n{_PROFILE}")
        parts.append(profile(classified).markdown())
        pairs = comparisons(classified, metric)
        if pairs.rows:
            parts.append(f"\n## Paired differences\n\n{_PAIRS}")
            parts.append(pairs.markdown())
    if rated:
        table = rating_overview(rated, letters)
        parts += ["\n## Regression\n", _RATINGS, table.markdown()]
        polarity = polarity_overview(rated)
        if polarity.rows:
            parts += ["\n" + _POLARITY, polarity.markdown()]
    tested = against_floors([*classified, *rated])
    if tested.rows:
        parts += [f"\n## Against the floors\n\n{_FLOORS}", tested.markdown()]
    return "\n".join(parts) + "\n"


def _about_floors(rows: Sequence[ResultRow]) -> list[str]:
    """How the floors came about, and where the best of the cheap is missing."""
    if not any(row.computed for row in rows):
        return []
    said = [_COMPUTED]
    floor = "MFCC statistics"
    there = {(r.corpus, r.protocol) for r in rows if floor in r.features}
    without = dict.fromkeys(
        f"{row.corpus}, {row.protocol}"
        for row in rows
        if (row.corpus, row.protocol) not in there
    )
    if without:
        names = "; ".join(markdown_text(name) for name in without)
        said.append(
            f"No run of {floor}, the best floor, is given of: {names}.\n"
        )
    return said
