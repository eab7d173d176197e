"""What a benchmark script prints and writes, and how it is called."""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from goals import GOALS
from machine import describe_machine

from speechbrain_e2v.files.atomic import replace_text


@dataclass(frozen=True)
class Row:
    """One figure.

    Arguments
    ---------
    key : str
        Of `goals.GOALS`.
    figure : float or None
        In the goal's unit; None where something could not be done.
    checks : dict of str to float
        What was compared before any time was taken: errors, cosines.
    spread : list of float
        Lowest and highest of single rounds.
    rounds : int
    note : str
        What a reader has to know: a smaller size, another allocator.
    """

    key: str
    figure: float | None
    checks: dict = field(default_factory=dict)
    spread: list = field(default_factory=list)
    rounds: int = 1
    note: str = ""


def ratio_row(key, ratio, checks=None, note=""):
    """Make a row of a `timing.Ratio`."""
    spread = [ratio.low, ratio.high]
    return Row(key, ratio.median, checks or {}, spread, ratio.rounds, note)


def demand(passed, message):
    """Stop when a parity check fails: times of wrong results are worthless."""
    if not passed:
        raise SystemExit(f"benchmark stopped, results differ: {message}")


def say(row):
    """Print a row."""
    goal = GOALS[row.key]
    figure = "failed" if row.figure is None else f"{row.figure:.3g} {goal.unit}"
    wanted = "" if goal.value is None else f"  goal {goal.value:g} {goal.unit}"
    met = {True: "met", False: "MISSED", None: ""}[goal.met(row.figure)]
    checks = ", ".join(f"{k} {v:.6g}" for k, v in row.checks.items())
    print(
        f"{goal.work:<58} {figure:>10}{wanted} {met}"
        + (f"  [{checks}]" if checks else "")
        + (f"  ({row.note})" if row.note else ""),
        flush=True,
    )


def main(description, parts, argv=None):
    """Run the parts of one script.

    Arguments
    ---------
    description : str
    parts : dict of str to callable
        Each takes the parsed arguments and yields rows.
    argv : list of str or None

    Returns
    -------
    list of Row
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=", ".join(parts)
    )
    parser.add_argument("-o", "--output", type=Path, help="rows as JSON")
    parser.add_argument("--rounds", type=int, help="alternations")
    parser.add_argument(
        "--tiny", action="store_true", help="proves that it runs, no figures"
    )
    arguments = parser.parse_args(argv)
    unknown = set(arguments.parts) - set(parts)
    if unknown:
        parser.error(f"no part {sorted(unknown)}: choose from {list(parts)}")
    rows = []
    for name in arguments.parts or parts:
        for row in parts[name](arguments):
            say(row)
            rows.append(row)
    if arguments.output:
        words = [f"benchmarks/{Path(sys.argv[0]).name}", *arguments.parts]
        write(arguments.output, rows, " ".join(words), arguments.tiny)
    return rows


def write(path, rows, command, tiny):
    """Write rows with the machine they were measured on."""
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "tiny": tiny,
        "machine": describe_machine(),
        "rows": [{**asdict(row), "command": command} for row in rows],
    }
    write_content(path, content)


def write_content(path, content):
    """Write results as JSON; the file is there whole or not at all."""
    replace_text(path, json.dumps(content, indent=1) + "\n")
