"""A table of the paper with ours beside, as Markdown and one cell a line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from speechbrain_e2v.report.caveats import (
    NOTHING,
    caveat_codes,
    caveat_letters,
    legend,
)
from speechbrain_e2v.report.formats import Table, markdown_text
from speechbrain_e2v.report.paper_table import Column, PaperTable, TableRow
from speechbrain_e2v.report.rows import ResultRow
from speechbrain_e2v.report.table_cells import Cell

_ABOUT = """Percent, {metrics}; `paper` as printed, ours beside it: the mean
over folds, of conversations pooled. Floors are above the paper's rows.
"""
_TITLES = {
    False: "Protocols of the paper",
    True: "No speaker in two parts",
}
ResultKey = tuple[str, str, str]  # corpus, protocol, features


@dataclass(frozen=True)
class ResultColumn:
    """A column of :func:`long_table` which a result fills."""

    title: str
    cell: Callable[[ResultRow], str]


def results_by_key(rows: Iterable[ResultRow]) -> dict[ResultKey, ResultRow]:
    """Results as cells find them."""
    return {(row.corpus, row.protocol, row.features): row for row in rows}


def table_page(
    number: str,
    table: PaperTable,
    cells: Sequence[Cell],
    results: Mapping[ResultKey, ResultRow],
    failed: Mapping[ResultKey, str],
    more: Sequence[ResultColumn] = (),
) -> str:
    """The page: the table in the paper's form, notes, and every number."""
    metrics = " / ".join(map(_metric, table.metrics))
    parts = [f"# Table {number}: {table.title}\n"]
    parts.append(_ABOUT.format(metrics=metrics))
    for strict, title in _TITLES.items():
        here = [cell for cell in cells if cell.column.strict == strict]
        if here:
            parts.append(f"## {title}\n")
            shape = shaped_table(table, here, results, failed)
            parts.append(shape.markdown() + "\n")
    if notes := _notes(cells):
        lines = (f"* {markdown_text(note)}" for note in notes)
        parts.append("Notes:\n\n" + "\n".join(lines) + "\n")
    found = [row for cell in cells if (row := _result(cell, results))]
    letters = caveat_letters(found)
    metric = table.metrics[0]
    about = (
        ResultColumn("against floors", lambda r: r.warning(metric) or NOTHING),
        ResultColumn("marks", lambda r: caveat_codes([r], letters)),
    )
    long = long_table(table, cells, results, failed, (*more, *about))
    parts += ["## Every number\n", long.markdown() + "\n"]
    if letters:
        parts.append(legend(letters))
    return "\n".join(parts)


def shaped_table(
    table: PaperTable,
    cells: Sequence[Cell],
    results: Mapping[ResultKey, ResultRow],
    failed: Mapping[ResultKey, str],
) -> Table:
    """Rows as printed; a pair of columns, paper and ours, an experiment."""
    columns = list(dict.fromkeys(_heading(cell.column) for cell in cells))
    printed = {_heading(c.column) for c in cells if c.printed}
    header = ["model", "here", "upstream M", "downstream M"]
    for heading in columns:
        header += [f"{heading}: paper"] * (heading in printed)
        header.append(f"{heading}: ours" if heading in printed else heading)
    lines = []
    for row in _rows(cells):
        mine = [cell for cell in cells if cell.row == row]
        line = [row.model, row.label or NOTHING]
        line += [_millions(mine, results, k) for k in _PARAMETERS]
        for heading in columns:
            cell = next(
                (c for c in mine if _heading(c.column) == heading), None
            )
            if heading in printed:
                line.append(_paper_scores(cell, table.metrics))
            line.append(_our_scores(cell, table.metrics, results, failed))
        lines.append(tuple(line))
    return Table(tuple(header), tuple(lines))


def long_table(
    table: PaperTable,
    cells: Sequence[Cell],
    results: Mapping[ResultKey, ResultRow],
    failed: Mapping[ResultKey, str],
    more: Sequence[ResultColumn] = (),
) -> Table:
    """One line a cell, every score: what a spreadsheet wants."""
    header = ["model", "features", "corpus", "protocol", "layer", "source"]
    for metric in table.metrics:
        header += [f"{_metric(metric)} paper", f"{_metric(metric)}"]
    header += ["ours - paper", "state", *(column.title for column in more)]
    lines = []
    for cell in cells:
        result = _result(cell, results)
        source = cell.printed.source if cell.printed else ""
        line = [cell.row.model, cell.features, cell.column.corpus]
        line += [cell.column.protocol, cell.column.experiment.features]
        line.append(source or NOTHING)
        for metric in table.metrics:
            line.append(_paper_scores(cell, [metric]))
            line.append(_scores(result, [metric]) if result else NOTHING)
        line.append(_difference(cell, result, table.metrics[0]))
        line.append(state(cell, results, failed))
        line += [column.cell(result) if result else NOTHING for column in more]
        lines.append(tuple(line))
    return Table(tuple(header), tuple(lines))


def state(
    cell: Cell,
    results: Mapping[ResultKey, ResultRow],
    failed: Mapping[ResultKey, str],
) -> str:
    """``run``, ``approximate``, ``quoted``, ``not run``, ``failed: why``."""
    if key_of(cell) in failed:
        return failed[key_of(cell)]
    result = _result(cell, results)
    if result is None:
        return cell.why or "not run"
    if result.computed:
        return "of the labels tested"
    return "approximate" if cell.row.approximate else "run"


def key_of(cell: Cell) -> ResultKey:
    """Where a cell's result is found."""
    return cell.column.corpus, cell.column.protocol, cell.features


_PARAMETERS = ("upstream", "downstream")


def _millions(
    cells: Sequence[Cell], results: Mapping[ResultKey, ResultRow], kind: str
) -> str:
    """Ours, and the paper's in parentheses."""
    found = [row for cell in cells if (row := _result(cell, results))]
    counts = {
        f"{count / 1e6:.2f}"
        for row in found
        if (count := getattr(row, f"{kind}_parameters")) is not None
    }
    paper = {
        f"({cell.printed.millions[kind]:.2f})"
        for cell in cells
        if cell.printed and kind in cell.printed.millions
    }
    return " ".join([*sorted(counts), *sorted(paper)]) or NOTHING


def _result(
    cell: Cell, results: Mapping[ResultKey, ResultRow]
) -> ResultRow | None:
    return results.get(key_of(cell))


def _heading(column: Column) -> str:
    return f"{column.name}, {column.protocol}"


def _rows(cells: Iterable[Cell]) -> list[TableRow]:
    """Each row once, in order."""
    rows: list[TableRow] = []
    for cell in cells:
        if cell.row not in rows:
            rows.append(cell.row)
    return rows


def _paper_scores(cell: Cell | None, metrics: Sequence[str]) -> str:
    if cell is None or cell.printed is None:
        return NOTHING
    scores = cell.printed.scores
    return " / ".join(
        f"{scores[m]:.2f}" if m in scores else NOTHING for m in metrics
    )


def _our_scores(
    cell: Cell | None,
    metrics: Sequence[str],
    results: Mapping[ResultKey, ResultRow],
    failed: Mapping[ResultKey, str],
) -> str:
    if cell is None:
        return NOTHING
    result = _result(cell, results)
    if result is None:
        said = state(cell, results, failed)
        return "failed" if said.startswith("failed: ") else said
    return _scores(result, metrics) + " *" * bool(cell.row.approximate)


def _scores(result: ResultRow, metrics: Sequence[str]) -> str:
    return " / ".join(f"{result.headline[metric]:.2f}" for metric in metrics)


def _difference(cell: Cell, result: ResultRow | None, metric: str) -> str:
    if result is None or cell.printed is None:
        return NOTHING
    printed = cell.printed.scores.get(metric)
    if printed is None:
        return NOTHING
    return f"{result.headline[metric] - printed:+.2f}"


def _metric(name: str) -> str:
    return {"macro_f1": "MacroF1"}.get(name, name.upper())


def _notes(cells: Iterable[Cell]) -> list[str]:
    """What is known of printed numbers, and of rows that are not the same."""
    notes = []
    for cell in cells:
        row, paper = cell.row, cell.printed
        if row.approximate:
            notes.append(f"{row.model} *: {row.approximate}")
        if row.quoted:
            notes.append(f"{row.model}: {row.quoted}")
        if paper is None:
            continue
        said = list(paper.notes)
        if not paper.protocol:
            said.append("its protocol is not said")
        if paper.source not in ("own run", ""):
            said.append(f"the number is of {paper.source}")
        if paper.features == "weighted":
            said.append("of a weighted sum of all layers")
        elif not paper.features:
            said.append("which layer is not said")
        notes += [f"{row.model}: {note}" for note in said]
    return list(dict.fromkeys(notes))
