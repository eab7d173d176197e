"""One recipe run: its command, whether it is done, and why it failed."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v import __version__
from speechbrain_e2v.files.atomic import replace_text

_ENCODER_FILES = ("encoder.yaml", "encoder.safetensors", "card.json")


@dataclass(frozen=True)
class Job:
    """A command and where its results go.

    Arguments
    ---------
    corpus, protocol, features : str
        What it measures; ``features`` is the column of the table.
    command : tuple of str
        Script and arguments.
    output : Path
        Its folder.
    encoder : Path or None
        Encoder folder that it reads.
    data : Path
        The corpus. When a file in it changes, the job is run again, which
        costs little where its cached features and folds still hold.

    Example
    -------
    >>> here = getfixture("tmp_path")
    >>> job = Job("EmoDB", "x", "mfcc", ("train.py",), here, None, here)
    >>> len(job.digest())
    64
    """

    corpus: str
    protocol: str
    features: str
    command: tuple
    output: Path
    encoder: Path | None
    data: Path

    def digest(self):
        """Of command, encoder, package version, and the corpus's file list."""
        digest = hashlib.sha256()
        digest.update(json.dumps([__version__, *self.command]).encode())
        for name in _ENCODER_FILES if self.encoder else ():
            path = self.encoder / name
            if path.is_file():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        for entry in _files(self.data):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()

    def is_done(self):
        """Whether the same command has already left its results."""
        note = self.output / "job.json"
        if not note.is_file() or not (self.output / "results.json").is_file():
            return False
        return json.loads(note.read_text("utf-8"))["digest"] == self.digest()

    def run(self):
        """Run it; its output goes to ``run.log``.

        Returns
        -------
        str or None
            Why it failed; ``None`` when it did not.
        """
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

    def note_done(self):
        """Write ``job.json``: that it is done, and its column's name."""
        note = {"digest": self.digest(), "features": self.features}
        replace_text(self.output / "job.json", json.dumps(note) + "\n")


def _files(folder):
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


def _reason(text, status):
    """The recipe's own line, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    return lines[-1] if lines else f"exit status {status}"
