"""Damaged files of every kind: refused in a line, or read as they are."""

import random
import shutil
from collections import Counter
from pathlib import Path

from robustness.mutations import damaged_bytes, damaged_document
from robustness.trial import Verdict, try_command
from robustness.workspace import Kind, contents, unfinished


def try_kind(
    kind: Kind, workspace: Path, place: Path, trials: int, nothing: int
) -> tuple[Counter, list[str]]:
    """Damage one kind of file again and again, from a seed of its name."""
    counts: Counter = Counter()
    faults: list[str] = []
    rng = random.Random(kind.file)
    here, out, log = place / "here", place / "new" / "out", place / "log"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(workspace, here)
    good = (workspace / kind.file).read_bytes()
    expected = ""

    def attempt() -> Verdict:
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir(parents=True)
        return try_command(lambda: kind.command(here, out), log, nothing)

    whole = attempt()
    if whole.status:
        return counts, [f"{kind.file}: good one refused: {whole.output[-300:]}"]
    expected = str(contents(out.parent)) + whole.output
    for number in range(trials):
        if kind.file.endswith(".json") and rng.random() < 0.6:
            name, bad = damaged_document(good, rng)
        else:
            name, bad = damaged_bytes(good, rng)
        _restore(kind, workspace, here)
        (here / kind.file).write_bytes(bad)
        verdict = attempt()
        counts["tried"] += 1
        counts["refused" if verdict.status else "accepted"] += 1
        case = f"{kind.file}, {name}, number {number}"
        if verdict.fault:
            tail = verdict.output.strip().splitlines()[-1:]
            faults.append(f"{case}: {verdict.fault}: {tail}")
        elif verdict.status and out.exists() and not _only_whole(out):
            faults.append(f"{case}: half written {sorted(contents(out))[:5]}")
        elif left := unfinished(out.parent):
            faults.append(f"{case}: left {left}")
        elif kind.guarded and not verdict.status and bad != good:
            if str(contents(out.parent)) + verdict.output != expected:
                faults.append(f"{case}: accepted, and the output is another")
    return counts, faults


def _restore(kind: Kind, workspace: Path, here: Path) -> None:
    """Undo what a command did beside the damaged file."""
    folder = Path(kind.file).parent
    if folder.name in ("npy", "store"):
        shutil.rmtree(here / folder)
        shutil.copytree(workspace / folder, here / folder)


def _only_whole(out: Path) -> bool:
    """Extraction keeps the clips that it could use; others leave nothing."""
    names = {path.suffix for path in out.rglob("*") if path.is_file()}
    return names <= {".npy", ".json"}
