#!/usr/bin/env python3
"""The table of benchmarks/README.md, out of files of results.

Results of one machine go into one table; a later file replaces rows of an
earlier one. `--readme` puts the tables between the marks in the README.

> python benchmarks/report.py results.json --readme
"""

import argparse
import json
from pathlib import Path

from goals import GOALS
from machine import ALLOCATORS

from speechbrain_e2v.dataio.atomic import replace_text

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def tables(contents):
    """Make Markdown of results.

    Arguments
    ---------
    contents : list of dict
        As `measurement.write` wrote them, oldest first.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        When one is of a tiny run, whose figures mean nothing.
    """
    machines = {}
    for content in contents:
        if content["tiny"]:
            raise ValueError("results of --tiny say nothing about speed")
        machine = content["machine"]
        rows = machines.setdefault((machine["cpu"], machine["threads"]), {})
        for row in content["rows"]:
            names = tuple(n for n in ALLOCATORS.values() if n in row["note"])
            rows[row["key"], names] = (row, content)
    return "\n\n".join(
        _table(name, threads, rows)
        for (name, threads), rows in machines.items()
    )


def _table(name, threads, rows):
    order = list(GOALS)
    ordered = sorted(rows.values(), key=lambda r: order.index(r[0]["key"]))
    newest = ordered[-1][1]["machine"]
    gflops = newest["gflops"]
    bf16 = ", ".join(newest["bf16_flags"]) or "no bf16 instructions"
    versions = newest["versions"].items()
    libraries = ", ".join(f"{k} {v}" for k, v in versions if v)
    lines = [
        f"**{name}**, {threads} threads, {bf16}; matrix products: fp32 "
        f"{gflops['fp32']}, bf16 {gflops['bf16']} GFLOP/s; {libraries}",
        "",
        "| work | figure | single rounds | goal | | checked | command, date |",
        "|---|--:|--:|--:|---|---|---|",
    ]
    return "\n".join(lines + [_line(row, content) for row, content in ordered])


def _line(row, content):
    goal = GOALS[row["key"]]
    met = {True: "met", False: "missed", None: ""}[goal.met(row["figure"])]
    spread = "–".join(f"{value:.3g}" for value in row["spread"])
    wanted = "" if goal.value is None else _with_unit(goal.value, goal.unit)
    if goal.limit is not None:
        wanted += f" (limit {goal.limit:g})"
    checks = ", ".join(f"{k} {_figure(v)}" for k, v in row["checks"].items())
    work = goal.work + (f" ({row['note']})" if row["note"] else "")
    figure = "failed"
    if row["figure"] is not None:
        figure = _with_unit(row["figure"], goal.unit)
    command = f"`{row['command']}`, {content['date']}"
    cells = (work, figure, spread, wanted, met, checks, command)
    return f"| {' | '.join(cells)} |"


def _with_unit(value, unit):
    return f"{value:.3g}x" if unit == "x" else f"{value:.3g} {unit}"


def _figure(value):
    # A cosine's distance from 1 is what counts, so it keeps its digits.
    return f"{value:.6g}" if value > 0.5 else f"{value:.1e}"


def put_into(text, table):
    """Replace what stands between the marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main(argv=None):
    """Print the tables, or write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args(argv)
    table = tables(
        [json.loads(path.read_text("utf-8")) for path in arguments.results]
    )
    if arguments.readme:
        replace_text(README, put_into(README.read_text("utf-8"), table))
    else:
        print(table)


if __name__ == "__main__":
    main()
