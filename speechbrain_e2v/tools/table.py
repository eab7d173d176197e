"""Tables from results.json files: Markdown, CSV, LaTeX.

example:
  e2v table results/linear results/mfcc -o table.md
"""

from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.report.page import results_page
from speechbrain_e2v.report.rating_rows import (
    of_regressions,
    read_rating_rows,
)
from speechbrain_e2v.report.rating_tables import (
    rating_details,
    rating_overview,
)
from speechbrain_e2v.report.recipe_index import matrix_page
from speechbrain_e2v.report.rows import find_results, read_rows
from speechbrain_e2v.report.tables import details, number_marks, overview

SUFFIXES = (".md", ".csv", ".tex")


def add_arguments(parser):
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
        "--matrix",
        type=Path,
        metavar="recipes/README.md",
        help="write the matrix of all recipes in the folder of this file",
    )


def run(arguments):
    """Read the results and write or print the tables.

    Returns
    -------
    int
        0.
    """
    for path in arguments.output:
        if path.suffix not in SUFFIXES:
            raise ValueError(
                f"{path}: a table is {', '.join(SUFFIXES)}; name it so"
            )
    if not arguments.results and not arguments.matrix:
        raise ValueError("no results are given; name folders of runs")
    others, regressions = of_regressions(find_results(arguments.results))
    rows, ratings = read_rows(others), read_rating_rows(regressions)
    metric = arguments.metric
    if arguments.matrix:
        recipes = arguments.matrix.resolve().parent
        text = matrix_page(recipes, rows, ratings)
        print(replace_text(arguments.matrix, text))
    elif not arguments.output:
        print(results_page(rows, metric=metric, ratings=ratings), end="")
    for path in arguments.output:
        print(write_table(path, rows, metric=metric, ratings=ratings))
    return 0


def write_table(path, rows, missing=(), metric="auto", ratings=()):
    """Write a file in the form that its suffix says.

    Arguments
    ---------
    path : Path
        ``.md`` has all tables, ``.csv`` every score, ``.tex`` the overview.
        Scores of regressions besides others go to ``.regression.csv``.
    rows : sequence of ResultRow
        Results.
    missing : sequence of Missing
        Experiments without a result.
    metric : str
        A score, or ``auto``.
    ratings : sequence of RatingRow
        Results of regressions.

    Returns
    -------
    Path
    """
    alone = bool(ratings) and not rows and not missing
    letters = number_marks([*rows, *ratings])
    if path.suffix == ".csv":
        text = details(rows).csv()
        scores = rating_details(ratings).csv()
        if alone:
            text = scores
        elif ratings:
            replace_text(path.with_suffix(".regression.csv"), scores)
    elif path.suffix == ".tex":
        text = "" if alone else overview(rows, missing, metric).latex()
        if ratings:
            text += rating_overview(ratings, letters).latex()
    else:
        text = results_page(rows, missing, metric, ratings=ratings)
    return replace_text(path, text)
