"""A table of the paper from a plan to a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.report.estimates import (
    Cost,
    corpus_seconds,
    job_cost,
    multiply_adds_per_second,
    total,
)
from speechbrain_e2v.report.find_corpora import find_corpora, load_corpus
from speechbrain_e2v.report.floor_tests import with_tests
from speechbrain_e2v.report.floors import with_floors
from speechbrain_e2v.report.formats import single_line
from speechbrain_e2v.report.job_queue import row_of, run_jobs
from speechbrain_e2v.report.paper_table import PaperTable, read_table
from speechbrain_e2v.report.recipe_jobs import JobOptions, recipe_folders
from speechbrain_e2v.report.rows import ResultRow, in_order
from speechbrain_e2v.report.table_cells import (
    NOT_ASKED,
    Cell,
    Choice,
    table_cells,
)
from speechbrain_e2v.report.table_text import (
    key_of,
    long_table,
    results_by_key,
    shaped_table,
    table_page,
)
from speechbrain_e2v.report.tables import Missing


def plan_of_table(
    name: str, data_root: Path, choice: Choice, options: JobOptions
) -> tuple[str, PaperTable, list[Cell]]:
    """Number, table and cells of a table, by number or path of its yaml.

    Raises ValueError for a table, an upstream or a folder that is not there.
    """
    number, table = read_table(name)
    recipes = recipe_folders(options.checkout)
    needed = dict.fromkeys(e.corpus for e in table.experiments)
    if strange := [name for name in needed if name not in recipes]:
        raise ValueError(
            f"table {number}: there is no recipe {', '.join(strange)}"
        )
    corpora = find_corpora(data_root, [recipes[name] for name in needed])
    return number, table, table_cells(number, table, choice, corpora, options)


def print_plan(cells: Sequence[Cell], options: JobOptions) -> None:
    """A line a job with minutes and bytes, what has no job, and the sums."""
    lengths: dict[Path, tuple[int, float]] = {}
    speed = multiply_adds_per_second(options.device)
    costs: list[Cost] = []
    unknown = done = 0
    jobs = [(cell, cell.job) for cell in cells if cell.job is not None]
    for cell, job in jobs:
        title = f"{job.corpus}, {job.protocol}, {job.features}"
        if job.is_done():
            done += 1
            print(single_line(f"{title}: done"))
            continue
        if job.data not in lengths:
            recipe = options.recipes / cell.column.experiment.corpus
            lengths[job.data] = corpus_seconds(load_corpus(recipe), job.data)
        epochs = options.number_of_epochs
        cost = job_cost(cell, lengths[job.data], epochs)
        if cost is None:
            unknown += 1
            print(single_line(f"{title}: sizes are not known"))
            continue
        costs.append(cost)
        print(single_line(f"{title}: {_cost(*total([cost]), speed)}"))
    for why, count in _without_job(cells).items():
        print(single_line(f"{count} cells: {why}"))
    print(
        f"{len(jobs)} jobs, {done} of them done; the rest: "
        f"{_cost(*total(costs), speed)}; by multiplications alone, at "
        f"{speed / 1e9:.0f} billion a second here"
        + (f"; {unknown} not counted" if unknown else "")
    )


def run_table(
    number: str,
    table: PaperTable,
    cells: Sequence[Cell],
    output: Path,
    floors: Sequence[str],
) -> tuple[list[ResultRow], list[Missing]]:
    """Run what is missing and write ``table_<number>.md`` and ``.csv``.

    Gives the rows, and what failed.
    """
    jobs = [cell.job for cell in cells if cell.job is not None]
    done, failures = run_jobs(jobs)
    rows = in_order(row_of(job) for job in done)
    if floors:
        rows = with_tests(with_floors(rows))
    results = results_by_key(rows)
    failed = {(f.corpus, f.protocol, str(f.features)): f.why for f in failures}
    page = table_page(number, table, cells, results, failed)
    replace_text(output / f"{_stem(number)}.md", page)
    long = long_table(table, cells, results, failed).csv()
    replace_text(output / f"{_stem(number)}.csv", long)
    for strict in (False, True):
        here = [c for c in cells if c.column.strict == strict]
        if any(key_of(cell) in results for cell in here):
            shape = shaped_table(table, here, results, failed)
            print(f"\n{shape.markdown()}")
    print(f"\n{output / _stem(number)}.md, .csv")
    return rows, failures


def _stem(number: str) -> str:
    return f"table_{number}" if number.isdigit() else number


def _without_job(cells: Sequence[Cell]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for cell in cells:
        if cell.job is None and cell.why != NOT_ASKED:
            why = cell.why
            if "no data" in why:
                why = f"{cell.column.experiment.corpus}: {why}"
            found[why] = found.get(why, 0) + 1
    return found


def _cost(work: float, size: int, speed: float) -> str:
    return f"{work / speed / 60:.1f} min, {_bytes(size)} of features"


def _bytes(size: int) -> str:
    number, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
