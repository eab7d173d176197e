"""`python -m robustness`: damage, kill and starve every command; count.

Faults are listed one a line; the exit status is 1 when there is any. With
--report, the counts become docs/reliability.md.
"""

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # trials are forks: no threads before them

from robustness.corpora import recipes, try_recipe
from robustness.crashes import try_crashes, try_together
from robustness.disks import can_mount, try_disks
from robustness.exports import try_exports
from robustness.fuzz import try_kind
from robustness.padded import try_padded
from robustness.trial import resident_of_nothing
from robustness.workspace import build, commands, host, kinds

PARTS = ("fuzz", "crashes", "together", "disks", "corpora", "padded")
HEAD = """# Reliability

Written by `{command}` on {date} ({host}, Python {python}), {minutes} minutes.
Every trial is a process of its own. A fault is a traceback, more than 1 GiB or
10 s of a processor, a status without a word, half an output, damage of a
guarded file that changes a number, a rerun that ends otherwise than the
uninterrupted run, something left behind; in a padded batch a number that is
more than 1e-5 from the clip's own.

"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=330, help="a kind")
    parser.add_argument("--points", type=int, default=0, help="0: all events")
    parser.add_argument("--batches", type=int, default=1000, help="padded ones")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--data", type=Path, help="folder of real corpora")
    parser.add_argument(
        "--encoder", type=Path, help="for them; else a tiny one"
    )
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    parts = options.parts.split(",")
    started = time.monotonic()
    rows: list[tuple[str, str, Counter, int]] = []
    faults: list[str] = []

    def note(part: str, name: str, outcome: tuple[Counter, list[str]]) -> None:
        counts, found = outcome
        rows.append((part, name, counts, len(found)))
        faults.extend(found)
        numbers = ", ".join(f"{v} {k}" for k, v in sorted(counts.items()))
        print(f"{part:<8} {name:<32} {len(found)} faults; {numbers}")
        for fault in found[:5]:
            print(f"    {fault}")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="robustness-") as folder:
        workspace, place = Path(folder, "workspace"), Path(folder, "place")
        build(workspace)
        place.mkdir()
        nothing = resident_of_nothing()
        if "fuzz" in parts:
            for kind in kinds(workspace):
                if options.only in kind.file:
                    note(
                        "fuzz",
                        kind.file,
                        try_kind(
                            kind, workspace, place, options.trials, nothing
                        ),
                    )
        tried = [c for c in commands(workspace) if options.only in c.name]
        for command in tried:
            if "crashes" in parts:
                outcome = try_crashes(command, place, options.points, nothing)
                note("crashes", command.name, outcome)
            if "together" in parts:
                outcome = try_together(command, place, nothing)
                note("together", command.name, outcome)
        if "disks" in parts:
            if can_mount(place, nothing):
                for command in tried:
                    outcome = try_disks(command, place, nothing)
                    note("disks", command.name, outcome)
            else:
                print("disks    left out: no disk can be mounted here")
        if "corpora" in parts:
            encoder = options.encoder or workspace / "encoder"
            for recipe in recipes(options.data, encoder, place):
                outcome = try_recipe(
                    recipe, place, options.points or 6, nothing
                )
                note("corpora", recipe.name, outcome)
                outcome = try_exports(recipe, place, nothing)
                note("corpora", f"{recipe.name}, exported", outcome)
        # Last: it computes in this process, and a fork needs no threads.
        if "padded" in parts:
            note("padded", "batches", try_padded(workspace, options.batches))
    minutes = (time.monotonic() - started) / 60
    print(f"{len(faults)} faults in {minutes:.1f} minutes")
    if options.report:
        options.report.write_text(report(rows, minutes), "utf-8")
    return 1 if faults else 0


def report(rows: list[tuple[str, str, Counter, int]], minutes: float) -> str:
    """Markdown of the counts."""
    lines = [
        HEAD.format(
            command="python -m robustness " + " ".join(sys.argv[1:]),
            date=datetime.date.today().isoformat(),
            host=host(),
            python=sys.version.split()[0],
            minutes=round(minutes),
        )
        + "| part | what | counts | faults |\n|---|---|---|---:|"
    ]
    for part, name, counts, found in rows:
        numbers = ", ".join(f"{v:,} {k}" for k, v in sorted(counts.items()))
        lines.append(f"| {part} | `{name}` | {numbers} | {found} |")
    total: Counter = Counter()
    for _, _, counts, found in rows:
        total.update(counts)
        total["faults"] += found
    numbers = ", ".join(f"{v:,} {k}" for k, v in sorted(total.items()))
    return "\n".join([*lines, "", f"Together: {numbers}.", ""])


if __name__ == "__main__":
    raise SystemExit(main())
