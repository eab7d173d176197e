"""One recipe run: its command, whether it is done, and why it failed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v import __version__
from speechbrain_e2v.files.atomic import replace_text

_ENCODER_FILES = ("encoder.yaml", "encoder.safetensors", "card.json")


@dataclass(frozen=True)
class Job:
    """A command and where its results go.

    ``features`` is the column of the table. When a file of the corpus in
    ``data`` changes, the job is run again, which costs little where its cached
    features and folds still hold.

    >>> here = getfixture("tmp_path")
    >>> job = Job("EmoDB", "x", "mfcc", ("train.py",), here, None, here)
    >>> len(job.digest())
    64
    """

    corpus: str
    protocol: str
    features: str
    command: tuple[str, ...]
    output: Path
    encoder: Path | None
    data: Path

    def digest(self) -> str:
        """Of command, encoder, package version, and the corpus's file list."""
        digest = hashlib.sha256()
        digest.update(json.dumps([__version__, *self.command]).encode())
        if self.encoder is not None:
            for path in (self.encoder / name for name in _ENCODER_FILES):
                if path.is_file():
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
        for entry in _files(self.data):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()

    def is_done(self) -> bool:
        """Whether the same command has already left its results."""
        note = self.output / "job.json"
        if not note.is_file() or not (self.output / "results.json").is_file():
            return False
        return json.loads(note.read_text("utf-8"))["digest"] == self.digest()

    def run(self) -> str | None:
        """Run it, with a ``run.log``; why it failed, if it did."""
        self.output.mkdir(parents=True, exist_ok=True)
        log = self.output / "run.log"
        with open(log, "w", encoding="utf-8") as file:
            done = subprocess.run(
                [sys.executable, *self.command],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            return _reason(log.read_text("utf-8"), done.returncode)
        self.note_done()
        return None

    def note_done(self) -> None:
        """Write ``job.json``: that it is done, and its column's name."""
        note = {"digest": self.digest(), "features": self.features}
        replace_text(self.output / "job.json", json.dumps(note) + "\n")


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change of every file, read without opening."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            there = os.path.exists(path)  # not at the end of a broken link
            status = os.stat(path, follow_symlinks=there)
            yield (
                os.path.relpath(path, folder),
                status.st_size,
                status.st_mtime_ns,
            )


def _reason(text: str, status: int) -> str:
    """The recipe's own line, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    return lines[-1] if lines else f"exit status {status}"
