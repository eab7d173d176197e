"""Counts of a run of the harness as a page of the documentation."""

import datetime
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

HEAD = """# Reliability

Written by `{command}` on {date}
({machine}, Python {python}), {minutes} minutes, of {commits}.
A fault is a traceback or an error that nothing understood, more than 1 GiB or
10 s of a processor, a status without a word, half an output, something left
behind; damage that digests, sums or announced lengths show, accepted with
another number; a rerun that ends otherwise than the uninterrupted run, or,
where an input or an option has changed, otherwise than a run on it alone; in a
padded batch a number that is more than 1e-5 from the clip's own (bfloat16:
scores, 0.05), or another label.

"""
LARGEST = "largest"


class Row(NamedTuple):
    """What was tried of one thing, and how many faults there were."""

    part: str
    name: str
    counts: Counter
    faults: int
    settings: str = ""
    """How much was asked for: a run with others counts anew."""
    commit: str = ""
    minutes: float = 0.0
    """Since the row before."""


def read_counts(path: Path) -> list[Row]:
    """Rows of an earlier run; those with faults are to be tried again."""
    if not path.is_file():
        return []
    rows = [Row(*json.loads(line)) for line in path.read_text().splitlines()]
    rows = [row._replace(counts=Counter(row.counts)) for row in rows]
    return [row for row in rows if not row.faults]


def note(path: Path, row: Row) -> None:
    """Keep a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def commit() -> str:
    """What is tried; with a + when it is changed."""
    command = ("git", "describe", "--always", "--exclude=*", "--dirty=+")
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def together(rows: list[Row]) -> list[Row]:
    """Sum the batches; of a largest number keep the largest."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        name = row.name.partition(" ")[0] if row.part == "padded" else row.name
        key = row.part, name
        old = found.get(key, Row(*key, Counter(), 0))
        found[key] = Row(
            *key, _sum(old.counts, row.counts), old.faults + row.faults
        )
    return list(found.values())


def page(rows: list[Row], left: int = 0) -> str:
    """Markdown of the counts; `left` tasks are to be done yet."""
    lines = [
        HEAD.format(
            command="python -m robustness " + " ".join(sys.argv[1:]),
            date=datetime.date.today().isoformat(),
            machine=f"{os.uname().sysname} {os.uname().machine}, "
            f"{os.cpu_count()} cores",
            python=sys.version.split()[0],
            minutes=round(sum(row.minutes for row in rows)),
            commits=", ".join(dict.fromkeys(row.commit for row in rows)),
        )
        + "| part | what | counts | faults |\n|---|---|---|---:|"
    ]
    for row in together(rows):
        counts = numbers(row.counts)
        lines.append(f"| {row.part} | `{row.name}` | {counts} | {row.faults} |")
    lines.append("")
    if left:
        lines.append(f"**Unfinished**: {left} tasks are left.\n")
    for part in dict.fromkeys(row.part for row in rows):
        mine = [row for row in rows if row.part == part]
        tried = sum(_trials(row.counts) for row in mine)
        faults = sum(row.faults for row in mine)
        lines.append(f"* {part}: {tried:,} trials, {faults} faults")
    return "\n".join([*lines, ""])


def _trials(counts: Counter) -> int:
    kinds = ("tried", "together", "full", "read_only", "changed")
    return sum(
        count
        for name, count in counts.items()
        if name in kinds or name.startswith("SIG")
    )


def numbers(counts: Counter) -> str:
    """Counts in a line, in order of their names."""
    return ", ".join(f"{v:,} {k}" for k, v in sorted(counts.items()))


def _sum(one: Counter, other: Counter) -> Counter:
    found = one + other
    for name in found:
        if name.startswith(LARGEST):
            found[name] = max(one[name], other[name])
    return found
