"""Kills and signals at the events of a command that change files."""

import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

from robustness.trial import try_command
from robustness.workspace import Command, contents, said, unfinished

CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "shutil.rmtree",
    "shutil.copyfile",
}


class Events:
    """Counts what changes files below a folder; acts at one of the events."""

    def __init__(self, below: Path, at: int = -1, torn: bool = False):
        self.below = str(below)
        self.at, self.torn = at, torn
        self.seen = 0
        self.written: str | None = None
        self.number = signal.SIGKILL

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


def count_events(command: Command, out: Path, note: Path) -> int:
    """Run to the end in this process; how many events there were."""
    events = Events(out.parent)
    sys.addaudithook(events)
    status = command.run(out)
    note.write_text(str(events.seen))
    return status


def interrupted(
    command: Command, out: Path, number: int, at: int, torn: bool
) -> int:
    """Run and meet a signal at an event."""
    events = Events(out.parent, at, torn)
    events.number = number
    sys.addaudithook(events)
    return command.run(out)


def try_crashes(
    command: Command, place: Path, points: int, nothing: int
) -> tuple[Counter, list[str]]:
    """Kill a command at some of its events, all of them for ``points=0``."""
    out, log, note = place / "new" / "out", place / "log", place / "events"
    counts: Counter = Counter()
    faults: list[str] = []

    def fresh() -> None:
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir(parents=True)

    fresh()
    whole = try_command(lambda: count_events(command, out, note), log, nothing)
    if whole.status:
        return counts, [f"{command.name}: {whole.output[-300:]}"]
    expected = contents(out.parent)
    events = int(note.read_text())
    counts["events"] = events
    step = max(1, -(-events // points)) if points else 1
    for at in range(0, events, step):
        for number, torn in (
            (signal.SIGKILL, False),
            (signal.SIGKILL, True),
            (signal.SIGTERM, False),
            (signal.SIGINT, False),
        ):
            fresh()
            case = f"{command.name}, event {at}, {number.name}, torn {torn}"
            first = try_command(
                lambda n=number, a=at, t=torn: interrupted(
                    command, out, n, a, t
                ),
                log,
                nothing,
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
            again = try_command(lambda: command.run(out), log, nothing)
            found = contents(out.parent)
            # Killed once it was whole: the rerun may say so.
            whole_already = found == expected and "already" in again.output
            if again.status and not whole_already:
                faults.append(f"{case}: rerun {said(again.output)[-3:]}")
            elif found != expected:
                differ = {
                    k
                    for k in {*found, *expected}
                    if found.get(k) != expected.get(k)
                }
                faults.append(f"{case}: rerun differs in {sorted(differ)}")
    return counts, faults


def try_together(
    command: Command, place: Path, nothing: int
) -> tuple[Counter, list[str]]:
    """Two processes at once in one output folder."""
    out, log = place / "new" / "out", place / "log"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir(parents=True)
    alone = try_command(lambda: command.run(out), log, nothing)
    if alone.status:
        return Counter(), [f"{command.name}: {alone.output[-300:]}"]
    expected = contents(out.parent)
    shutil.rmtree(out.parent)
    out.parent.mkdir()
    faults, outcomes = [], []
    second = os.fork()
    own = place / ("log2" if not second else "log1")
    outcome = try_command(lambda: command.run(out), own, nothing)
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
