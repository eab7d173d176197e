"""Kills and signals at the events of a command that change files."""

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from robustness.commands import Command, contents, said, unfinished
from robustness.trial import try_command

CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "shutil.rmtree",
    "shutil.copyfile",
}


Run = Callable[[], int | None]
SIGNALS = (
    (signal.SIGKILL, False),
    (signal.SIGKILL, True),
    (signal.SIGTERM, False),
    (signal.SIGINT, False),
)
"""What is sent, and whether the file written last is torn before."""
PATIENCE = 30
"""Seconds in which the child of a killed command ends."""


class Events:
    """Counts what changes files below a folder; acts at one of the events."""

    def __init__(
        self,
        below: Path,
        at: int = -1,
        torn: bool = False,
        number: signal.Signals = signal.SIGKILL,
    ):
        self.below = str(below)
        self.at, self.torn = at, torn
        self.seen = 0
        self.written: str | None = None
        self.number = number

    def __call__(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
            if not isinstance(path, str | bytes) or not (flags or 0) & writing:
                return
        elif event not in CHANGES:
            return
        else:
            path = arguments[0]
        path = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        if not path.startswith(self.below):
            return
        if self.seen == self.at:
            self.at = -1
            if self.torn and self.written and os.path.isfile(self.written):
                half = os.path.getsize(self.written) // 2
                os.truncate(self.written, half)
            os.kill(os.getpid(), self.number)
        self.seen += 1
        if event == "open":
            self.written = path


def count_events(run: Run, below: Path, note: Path) -> int | None:
    """Run to the end; how many events there were is noted in a file."""
    events = Events(below)
    sys.addaudithook(events)
    status = run()
    note.write_text(str(events.seen))
    return status


def interrupted(
    run: Run, below: Path, number: signal.Signals, at: int, torn: bool
) -> int | None:
    """Run and meet a signal at an event."""
    sys.addaudithook(Events(below, at, torn, number))
    return run()


def try_crashes(
    command: Command, workspace: Path, place: Path, points: int
) -> tuple[Counter, list[str]]:
    """Kill a command at some of its events, all of them for ``points=0``."""
    out, log, note = place / "new" / "out", place / "log", place / "events"
    counts: Counter = Counter()
    faults: list[str] = []

    def run() -> int | None:
        return command.run(out, workspace)

    def fresh() -> None:
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir(parents=True)

    fresh()
    whole = try_command(lambda: count_events(run, out.parent, note), log)
    if whole.status:
        return counts, [f"{command.name}: {whole.output[-300:]}"]
    expected = contents(out.parent)
    events = int(note.read_text())
    counts["events"] = events
    step = max(1, -(-events // points)) if points else 1
    for at in range(0, events, step):
        for number, torn in SIGNALS:
            fresh()
            case = f"{command.name}, event {at}, {number.name}, torn {torn}"
            first = try_command(
                lambda n=number, a=at, t=torn: interrupted(
                    run, out.parent, n, a, t
                ),
                log,
            )
            counts[number.name] += 1
            if number == signal.SIGKILL:
                if first.status != -number:
                    faults.append(f"{case}: not killed, {first.status}")
            else:
                lines = said(first.output)
                if first.status != 128 + number or len(lines) != 1:
                    faults.append(f"{case}: status {first.status}, {lines}")
                if left := unfinished(out.parent):
                    faults.append(f"{case}: left {left}")
            if fault := _rerun(command, workspace, place, expected):
                faults.append(f"{case}: {fault}")
    return counts, faults


def _rerun(
    command: Command, workspace: Path, place: Path, expected: dict[str, str]
) -> str | None:
    """Why the same command, again, does not end as an uninterrupted one."""
    out, log = place / "new" / "out", place / "log"
    deadline = time.monotonic() + PATIENCE
    while True:
        again = try_command(lambda: command.run(out, workspace), log)
        # A child ends with its killed parent, but not in the same instant.
        if "written by another run" not in again.output:
            break
        if time.monotonic() > deadline:
            return f"a process lives on: {said(again.output)}"
        time.sleep(0.5)
    found = contents(out.parent)
    # Killed once it was whole: the rerun may say so.
    if again.status and not (found == expected and "already" in again.output):
        return f"rerun {again.output.splitlines()[-3:]}"
    if found != expected:
        names = {*found, *expected}
        differ = {k for k in names if found.get(k) != expected.get(k)}
        return f"rerun differs in {sorted(differ)}"
    if left := unfinished(out.parent):
        return f"rerun leaves {left}"
    return None


def try_together(
    command: Command, workspace: Path, place: Path
) -> tuple[Counter, list[str]]:
    """Two processes at once in one output folder."""
    out, log = place / "new" / "out", place / "log"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir(parents=True)
    alone = try_command(lambda: command.run(out, workspace), log)
    if alone.status:
        return Counter(), [f"{command.name}: {alone.output[-300:]}"]
    expected = contents(out.parent)
    shutil.rmtree(out.parent)
    out.parent.mkdir()
    faults, outcomes = [], []
    second = os.fork()
    own = place / ("log2" if not second else "log1")
    outcome = try_command(lambda: command.run(out, workspace), own)
    if not second:
        os._exit(min(max(outcome.status, 0), 9) if not outcome.fault else 9)
    code = os.waitstatus_to_exitcode(os.waitpid(second, 0)[1])
    outcomes = [outcome.status, code]
    case = f"{command.name}, two at once"
    if 0 not in outcomes or not {*outcomes} <= {0, 1}:
        faults.append(f"{case}: statuses {outcomes}: {said(outcome.output)}")
    for status, name in zip(outcomes, ("log1", "log2"), strict=True):
        text = (place / name).read_text(errors="replace")
        if status and len(said(text)) != 1:
            faults.append(f"{case}: {said(text)}")
    if contents(out.parent) != expected:
        faults.append(f"{case}: other content")
    if left := unfinished(out.parent):
        faults.append(f"{case}: left {left}")
    return Counter(together=1), faults
