"""`python -m robustness`: damage, kill and starve every command; count.

Faults are listed one a line; the exit status is 1 when there is any. With
--report, the counts become docs/reliability.md, also while it runs; with
--counts a run that was stopped goes on. Trial and batch numbers are
seeds: what failed once fails again, also alone (--only).
"""

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # trials are forks: no threads before them
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # several tasks share the cores

from robustness.changes import try_changes
from robustness.commands import Command, commands
from robustness.corpora import Recipe, corpora, recipe_for, try_recipe
from robustness.crashes import try_crashes, try_together
from robustness.disks import can_mount, try_disks
from robustness.exports import try_exports
from robustness.fuzz import try_kind
from robustness.kinds import kinds
from robustness.padded import try_padded
from robustness.report import Row, commit, note, numbers, page, read_counts
from robustness.trial import apart, output_to
from robustness.workspace import build, build_checkpoints

PARTS = ("fuzz", "padded", "crashes", "together", "disks", "changes")
PARTS += ("corpora",)
CACHING = ("extract", "timeline", "manifest", "pretraining", "probe")
CACHING += ("reproduce",)
BATCHES_A_TASK = 10

Outcome = tuple[Counter, list[str]]
Task = tuple[str, str, Callable[..., Outcome]]
Named = Iterator[tuple[str, Callable[..., Outcome]]]


def main() -> int:
    options = _options()
    # A shell has what it starts in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started, tried = time.monotonic(), commit()
    rows: list[Row] = []
    faults = 0
    with tempfile.TemporaryDirectory(
        prefix="robustness-", dir=_memory()
    ) as folder:
        workspace = Path(folder, "workspace")
        with output_to(Path(folder, "build.log")):
            build(workspace)
            # Apart: later forks need none of the threads that it starts.
            apart(partial(build_checkpoints, workspace))
        tasks = list(_tasks(options, workspace, Path(folder)))
        order = {task[:2]: number for number, task in enumerate(tasks)}
        if options.counts:
            rows = [
                row
                for row in read_counts(options.counts)
                if row[:2] in order and row.settings == _size(options, row.part)
            ]
        done = {row[:2] for row in rows}
        left = [task for task in tasks if task[:2] not in done]
        with ProcessPoolExecutor(
            options.jobs, multiprocessing.get_context("fork")
        ) as pool:
            running = {
                pool.submit(_done, run, Path(folder, f"{number}")): (part, name)
                for number, (part, name, run) in enumerate(left)
            }
            before = started
            for future in as_completed(running):
                part, name = running[future]
                counts, found = future.result()
                now = time.monotonic()
                row = Row(
                    *(part, name, counts, len(found)),
                    *(_size(options, part), tried, (now - before) / 60),
                )
                before = now
                rows.append(row)
                faults += len(found)
                print(
                    f"[{len(rows)}/{len(tasks)}, {(now - started) / 60:.1f} "
                    f"min] {part:<8} {name:<32} {len(found)} faults; "
                    f"{numbers(counts)}"
                )
                for fault in found[: options.show]:
                    print(f"    {fault}")
                sys.stdout.flush()
                if options.counts:
                    note(options.counts, row)
                if options.report:
                    rows.sort(key=lambda row: order[row[:2]])
                    text = page(rows, len(tasks) - len(rows))
                    options.report.write_text(text, "utf-8")
    minutes = (time.monotonic() - started) / 60
    print(f"{faults} faults in {minutes:.1f} minutes")
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="a kind")
    parser.add_argument(
        "--points",
        type=int,
        default=0,
        help="events that a command is killed at (default: all)",
    )
    parser.add_argument(
        "--long_points",
        type=int,
        default=12,
        help="the same of training and of `e2v reproduce`, which take seconds "
        "a run; 0 leaves them out",
    )
    parser.add_argument("--batches", type=int, default=1000, help="padded ones")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--data", type=Path, help="folder of real corpora")
    parser.add_argument(
        "--encoder", type=Path, help="for them; else a tiny one"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--show", type=int, default=5, help="faults a line")
    parser.add_argument(
        "--counts",
        type=Path,
        help="file of counts: what is in it without faults is not tried again",
    )
    parser.add_argument("--report", type=Path)
    return parser.parse_args()


def _size(options: argparse.Namespace, part: str) -> str:
    """How much of a part is asked for."""
    sizes = {
        "fuzz": (options.trials,),
        "crashes": (options.points, options.long_points),
        "corpora": (options.long_points, str(options.data)),
    }
    return " ".join(map(str, sizes.get(part, ())))


def _tasks(
    options: argparse.Namespace, workspace: Path, folder: Path
) -> Iterator[Task]:
    """Part, name and what is done in a folder of its own."""
    tried = [
        command
        for command in commands()
        if options.only in command.name
        and (command.short or options.long_points)
    ]
    makers = {
        "fuzz": partial(_fuzz, options, workspace),
        "padded": partial(_padded_batches, options, workspace),
        "crashes": partial(_crashes, options, workspace, tried),
        "together": partial(_each, try_together, workspace, tried),
        "disks": partial(_disks, workspace, tried, folder / "mount"),
        "changes": partial(
            _each,
            try_changes,
            workspace,
            [c for c in tried if c.name.startswith(CACHING)],
        ),
        "corpora": partial(_corpora, options, workspace),
    }
    for part in options.parts.split(","):
        for name, run in makers[part]():
            yield part, name, run


def _each(
    attempt: Callable[..., Outcome], workspace: Path, tried: list[Command]
) -> Named:
    for command in tried:
        yield command.name, partial(attempt, command, workspace)


def _fuzz(options: argparse.Namespace, workspace: Path) -> Named:
    for kind in kinds(workspace):
        if options.only in kind.file:
            run = partial(try_kind, kind, workspace, trials=options.trials)
            yield kind.file, run


def _crashes(
    options: argparse.Namespace, workspace: Path, tried: list[Command]
) -> Named:
    for command in tried:
        points = options.points if command.short else options.long_points
        run = partial(try_crashes, command, workspace, points=points)
        yield command.name, run


def _disks(workspace: Path, tried: list[Command], mount: Path) -> Named:
    if can_mount(mount):
        yield from _each(try_disks, workspace, tried)
    else:
        print("disks    left out: no disk can be mounted here")


def _corpora(options: argparse.Namespace, workspace: Path) -> Named:
    encoder = options.encoder or workspace / "encoder"
    for name in corpora(options.data):
        made = partial(recipe_for, name, options.data, encoder)
        yield name, partial(_recipe, made, options.long_points)
        yield f"{name}, exported", partial(_exports, made)


def _padded_batches(options: argparse.Namespace, workspace: Path) -> Named:
    for first in range(0, options.batches, BATCHES_A_TASK):
        last = min(first + BATCHES_A_TASK, options.batches)
        yield (
            f"batches {first} to {last - 1}",
            partial(_padded, workspace, range(first, last)),
        )


def _memory() -> str | None:
    """A disk in memory, where waiting until a file is on the disk is short."""
    disk = Path("/dev/shm")  # noqa: S108 (the folder in it has a name of its own)
    if disk.is_dir() and os.access(disk, os.W_OK):
        if shutil.disk_usage(disk).free > 2**30:
            return str(disk)
    return None


def _done(run: Callable[..., Outcome], place: Path) -> Outcome:
    """A task's outcome, computed in a folder of its own."""
    place.mkdir()
    try:
        return run(place=place)
    finally:
        shutil.rmtree(place)


def _recipe(
    made: Callable[[Path], Recipe], points: int, place: Path
) -> Outcome:
    return try_recipe(made(place), place, points)


def _exports(made: Callable[[Path], Recipe], place: Path) -> Outcome:
    return try_exports(made(place), place)


def _padded(workspace: Path, numbers: range, place: Path) -> Outcome:
    # It computes: its threads would be lost in later forks.
    return apart(partial(try_padded, workspace, numbers))


if __name__ == "__main__":
    raise SystemExit(main())
