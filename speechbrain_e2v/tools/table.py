"""Tables from results.json files: Markdown, CSV, LaTeX.

example:
  e2v table results/linear results/mfcc -o table.md
  e2v table results/linear --by gender
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.report.breakdown import breakdown
from speechbrain_e2v.report.caveats import caveat_letters
from speechbrain_e2v.report.floor_tests import with_tests
from speechbrain_e2v.report.floors import with_floors
from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.recipe_index import index_page
from speechbrain_e2v.report.rows import ResultRow, find_results, read_rows
from speechbrain_e2v.report.spreadsheets import details, rating_details
from speechbrain_e2v.report.tables import (
    Missing,
    overview,
    rating_overview,
)

SUFFIXES = (".md", ".csv", ".tex")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v table`."""
    parser.add_argument(
        "results",
        nargs="*",
        type=Path,
        help="results.json, or folders that are searched for it",
    )
    parser.add_argument(
        "-o",
        "--output",
        nargs="*",
        default=[],
        type=Path,
        metavar="FILE",
        help=f"files to write: {', '.join(SUFFIXES)} (default: print Markdown)",
    )
    parser.add_argument(
        "--metric",
        default="auto",
        choices=("auto", *SCORES),
        help="score that is compared (default: what the paper prints first)",
    )
    parser.add_argument(
        "--no_floors",
        action="store_true",
        help="do not add what always guessing the most frequent class, or "
        "drawing classes by their frequency, would give, and test nothing "
        "against floors",
    )
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="scores apart by gender, language, age or another column of the "
        "manifests; instead of the other tables",
    )
    parser.add_argument(
        "--matrix",
        type=Path,
        metavar="recipes/README.md",
        help="write the index of all recipes in the folder of this file",
    )


def run(arguments: Namespace) -> int:
    """Read the results and write or print the tables."""
    for path in arguments.output:
        if path.suffix not in SUFFIXES:
            raise ValueError(
                f"{path}: a table is {', '.join(SUFFIXES)}; name it so"
            )
    if not arguments.results and not arguments.matrix:
        raise ValueError("no results are given; name folders of runs")
    rows = read_rows(find_results(arguments.results))
    if not arguments.no_floors:
        rows = with_tests(with_floors(rows), arguments.metric)
    metric = arguments.metric
    if arguments.by:
        apart = breakdown(rows, arguments.by)
        if not arguments.output:
            print(apart.markdown())
        for path in arguments.output:
            form = {".md": "markdown", ".csv": "csv", ".tex": "latex"}
            text = getattr(apart, form[path.suffix])()
            print(replace_text(path, text))
        return 0
    if arguments.matrix:
        text = index_page(arguments.matrix.resolve().parent, rows)
        print(replace_text(arguments.matrix, text))
    elif not arguments.output:
        print(results_page(rows, metric=metric), end="")
    for path in arguments.output:
        print(write_table(path, rows, metric=metric))
    return 0


def write_table(
    path: Path,
    rows: Sequence[ResultRow],
    missing: Sequence[Missing] = (),
    metric: str = "auto",
) -> Path:
    """Write a file in the form that its suffix says.

    ``.md`` has all tables, ``.csv`` every score, ``.tex`` the overview. Scores
    of regressions besides others go to ``.regression.csv``.
    """
    classified = [row for row in rows if not row.scales]
    rated = [row for row in rows if row.scales]
    alone = bool(rated) and not classified and not missing
    if path.suffix == ".csv":
        text = details(classified).csv()
        scores = rating_details(rated).csv()
        if alone:
            text = scores
        elif rated:
            replace_text(path.with_suffix(".regression.csv"), scores)
    elif path.suffix == ".tex":
        letters = caveat_letters([*classified, *rated])
        text = ""
        if not alone:
            text = overview(classified, missing, metric, letters).latex()
        if rated:
            text += rating_overview(rated, letters).latex()
    else:
        text = results_page(rows, missing, metric)
    return replace_text(path, text)
