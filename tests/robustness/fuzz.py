"""Damaged files of every kind: refused in a line, or read as they are."""

import functools
import random
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from robustness.commands import alike, contents, unfinished
from robustness.kinds import Kind
from robustness.mutations_published import damages_of
from robustness.trial import Verdict, in_this_process, in_turn

Found = dict[tuple[str, str], Any]
_TIMES = re.compile(r" in [\d.]+ s \([\d.]+ times real time\)")


class Outcome(NamedTuple):
    """How one damaged file was taken."""

    case: str
    refused: bool
    fault: str | None


def try_kind(
    kind: Kind, workspace: Path, place: Path, trials: int
) -> tuple[Counter, list[str]]:
    """Damage one kind of file again and again, each time by its number."""
    counts: Counter = Counter()
    faults: list[str] = []
    here = place / "here"
    shutil.copytree(workspace, here)
    good = (workspace / kind.file).read_bytes()

    def first(number: int) -> tuple[Verdict, Found]:
        verdict = _run(kind, place)
        patterns = kind.guarded + kind.announced
        return verdict, _found(patterns, place, verdict)

    ((_, whole),) = in_turn(first, [0])
    if isinstance(whole, Verdict) or whole[0].status or whole[0].fault:
        return counts, [f"{kind.file}: a whole one is refused: {whole}"]
    expected = whole[1]
    attempt = functools.partial(
        _attempt, kind, workspace, place, good, expected
    )
    for number, outcome in in_turn(attempt, range(-(-trials // kind.share))):
        counts["tried"] += 1
        if isinstance(outcome, Verdict):
            why = outcome.fault or outcome.output
            faults.append(f"{kind.file}, number {number}: {why}")
            continue
        counts["refused" if outcome.refused else "accepted"] += 1
        if outcome.fault:
            faults.append(f"{outcome.case}: {outcome.fault}")
    return counts, faults


def _attempt(
    kind: Kind,
    workspace: Path,
    place: Path,
    good: bytes,
    expected: Found,
    number: int,
) -> Outcome:
    rng = random.Random(f"{kind.file} {number}")
    damage = rng.choice(damages_of(Path(kind.file)))
    name, bad = damage(good, rng)
    _restore(kind, workspace, place / "here")
    (place / "here" / kind.file).write_bytes(bad)
    verdict = _run(kind, place)
    case = f"{kind.file}, {damage.__name__} {name}, number {number}"
    fault = verdict.fault
    out = place / "new" / "out"
    if fault:
        fault += f": {verdict.output.strip().splitlines()[-1:]}"
    elif left := unfinished(place / "new") + unfinished(place / "here"):
        fault = f"left {left}"
    elif verdict.status and out.exists() and not _only_whole(out):
        fault = f"half written: {sorted(contents(out))[:5]}"
    elif not verdict.status:
        patterns = kind.guarded + (kind.announced if name == "cut" else ())
        found = _found(patterns, place, verdict)
        if not _same(found, expected, patterns):
            fault = "accepted, and the output is another"
    return Outcome(case, bool(verdict.status), fault)


def _run(kind: Kind, place: Path) -> Verdict:
    out = place / "new" / "out"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir(parents=True)
    here = place / "here"
    return in_this_process(lambda: kind.command.run(out, here), place / "log")


def _found(patterns: tuple[str, ...], place: Path, verdict: Verdict) -> Found:
    """Content of what matches, and what was printed, by pattern and name."""
    found: Found = {}
    for pattern in patterns:
        if pattern == "-":
            found["-", ""] = _TIMES.sub("", verdict.output)
            continue
        root = place if pattern.startswith("here/") else place / "new"
        for path in sorted(root.glob(pattern)):
            key = pattern, path.name
            if path.suffix == ".npy":
                found[key] = np.load(path)
            else:
                found[key] = path.read_bytes()
    return found


def _same(found: Found, expected: Found, patterns: tuple[str, ...]) -> bool:
    """Whether what matches the patterns is what it was."""
    wanted = {k: v for k, v in expected.items() if k[0] in patterns}
    if found.keys() != wanted.keys():
        return False
    return all(alike(found[key], value) for key, value in wanted.items())


def _restore(kind: Kind, workspace: Path, here: Path) -> None:
    """Undo what a command did beside the damaged file."""
    top = Path(kind.file).parts[0]
    if top in ("npy", "store", "pretraining"):
        shutil.rmtree(here / top)
        shutil.copytree(workspace / top, here / top)


def _only_whole(out: Path) -> bool:
    """Extraction keeps the clips that it could use; others leave nothing."""
    return {Path(name).suffix for name in contents(out)} <= {".npy", ".json"}
