#!/usr/bin/env python3
"""The tables of benchmarks/README.md, out of files of results.

Results of one machine go into one table; a later file replaces rows of an
earlier one. `--readme` puts the tables between the marks of that page.

> python benchmarks/report.py results.json --readme
"""

import argparse
import json
from pathlib import Path

from goals import GOALS
from machine import ALLOCATORS

from speechbrain_e2v.files.atomic import replace_text

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def by_machine(contents):
    """Sort the newest rows of each machine.

    Arguments
    ---------
    contents : list of dict
        As `measurement.write` wrote them, oldest first.

    Returns
    -------
    list of list of (dict, dict)
        Rows in the order of the goals, with what was said of their run.

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
    order = list(GOALS)
    return [
        sorted(rows.values(), key=lambda pair: order.index(pair[0]["key"]))
        for rows in machines.values()
    ]


def full_table(rows):
    """Make Markdown of all that is known of one machine's rows."""
    lines = [
        _machine(rows[-1][1]["machine"]),
        "",
        "| work | figure | single rounds | goal | | checked | command, date |",
        "|---|--:|--:|--:|---|---|---|",
    ]
    for row, content in rows:
        checks = (f"{k} {_figure(v)}" for k, v in row["checks"].items())
        command = f"`{row['command']}`, {content['date']}"
        work, figure, wanted, met = _judged(row)
        spread = "–".join(f"{value:.3g}" for value in row["spread"])
        cells = work, figure, spread, wanted, met, ", ".join(checks), command
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _machine(machine):
    gflops = machine["gflops"]
    bf16 = ", ".join(machine["bf16_flags"]) or "no bf16 instructions"
    versions = machine["versions"].items()
    libraries = ", ".join(f"{k} {v}" for k, v in versions if v)
    return (
        f"**{machine['cpu']}**, {machine['threads']} threads, {bf16}; matrix "
        f"products: fp32 {gflops['fp32']}, bf16 {gflops['bf16']} GFLOP/s; "
        f"{libraries}"
    )


def _judged(row):
    goal = GOALS[row["key"]]
    met = {True: "met", False: "missed", None: ""}[goal.met(row["figure"])]
    wanted = "" if goal.value is None else _with_unit(goal.value, goal.unit)
    if goal.limit is not None:
        wanted += f" (limit {goal.limit:g})"
    work = goal.work + (f" ({row['note']})" if row["note"] else "")
    figure = "failed"
    if row["figure"] is not None:
        figure = _with_unit(row["figure"], goal.unit)
    return work, figure, wanted, met


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
    machines = by_machine(
        [json.loads(path.read_text("utf-8")) for path in arguments.results]
    )
    text = "\n\n".join(full_table(rows) for rows in machines)
    if arguments.readme:
        replace_text(README, put_into(README.read_text("utf-8"), text))
    else:
        print(text)


if __name__ == "__main__":
    main()
