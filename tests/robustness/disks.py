"""Commands on a disk that is full, and on one that may not be written.

Each trial mounts one in a name space of its own, so that it works for root and
for everybody where the kernel lets people have name spaces.
"""

import ctypes
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from robustness.commands import Command, said
from robustness.trial import try_command

_NEW_MOUNTS, _NEW_USER = 0x20000, 0x10000000
_READ_ONLY, _REMOUNT = 1, 32
SIZES = ("4k", "16k", "64k")


def with_disk(folder: Path, size: str, read_only: bool) -> None:
    """Put a small disk at a folder, for this process alone; OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_MOUNTS | _NEW_USER):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    words = b"tmpfs", bytes(folder), b"tmpfs"
    flags = _READ_ONLY if read_only else 0
    if libc.mount(*words, flags, f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), "mount")


def can_mount(place: Path) -> bool:
    """Whether this machine lets us have a disk."""
    folder = place / "probe"
    folder.mkdir(parents=True, exist_ok=True)

    def probe() -> int:
        with_disk(folder, "4k", False)
        return 0

    return try_command(probe, place / "log").status == 0


def try_disks(
    command: Command, workspace: Path, place: Path
) -> tuple[Counter, list[str]]:
    """One line with the way out, nothing half written."""
    counts: Counter = Counter()
    faults: list[str] = []
    disk, log = place / "disk", place / "log"
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir(parents=True)

    def trial(size: str, read_only: bool) -> Callable[[], int | None]:
        def run() -> int | None:
            with_disk(disk, size, read_only)
            status = command.run(disk / "out", workspace)
            names = [path.name for path in disk.rglob("*")]
            if any(name.startswith(".unfinished") for name in names):
                return 3
            return status

        return run

    for size, read_only in (*((s, False) for s in SIZES), ("1m", True)):
        verdict = try_command(trial(size, read_only), log)
        verdict = verdict._replace(seconds=0)  # it may be a training
        name = "read_only" if read_only else "full"
        counts[name] += 1
        lines = said(verdict.output)
        case = f"{command.name}, {name} disk of {size}"
        if verdict.fault or (read_only and verdict.status != 1):
            faults.append(f"{case}: {verdict.fault} {verdict.status} {lines}")
        elif verdict.status == 1:
            wanted = "Read-only file system" if read_only else "No space left"
            if len(lines) != 1 or wanted not in lines[0]:
                faults.append(f"{case}: {lines}")
            counts[f"{name}_refused"] += 1
    return counts, faults
