"""One recipe run: its command, whether it is done, and why it failed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from speechbrain_e2v import __version__
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.files.documents import BadDocument, read_json
from speechbrain_e2v.published.hub import resolve

_NOTE = "job.json"
_PATIENCE = 30  # seconds from SIGTERM to SIGKILL
_OF_FILE_MANAGERS = ("Thumbs.db", "desktop.ini")
_ENCODER_FILES = ("encoder.yaml", "encoder.safetensors", "card.json")


class Note(msgspec.Struct):
    """``job.json`` of a finished job: its digest, and its column's name."""

    digest: str
    features: str


@dataclass(frozen=True)
class Job:
    """A command and where its results go.

    ``features`` is the column of the table; ``encoder`` is a path or hub id.
    When a file of the corpus in ``data`` changes, the job is run again, which
    costs little where its cached features and folds still hold.

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
    encoder: str | None
    data: Path

    def digest(self) -> str:
        """Of command, encoder, package version, and the corpus's file list."""
        digest = hashlib.sha256()
        digest.update(json.dumps([__version__, *self.command]).encode())
        for path in encoder_files(self.encoder) if self.encoder else ():
            status = path.stat()
            digest.update(
                _sha256(path, status.st_size, status.st_mtime_ns).encode()
            )
        for entry in _files(self.data):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()

    def is_done(self) -> bool:
        """Whether the same command has already left its results."""
        if not (self.output / "results.json").is_file():
            return False
        try:
            note = read_note(self.output)
        except BadDocument:  # the job is run again
            return False
        return note is not None and note.digest == self.digest()

    def run(self) -> str | None:
        """Run it, with a ``run.log``; why it failed, if it did.

        It ends with this process: by SIGTERM when an exception passes here,
        and by itself when this process is killed.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        log = self.output / "run.log"
        module = [sys.executable, "-m", "speechbrain_e2v.report.with_parent"]
        with (
            open(log, "w", encoding="utf-8") as file,
            subprocess.Popen(
                [*module, *self.command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                process.wait()
            except BaseException:
                process.terminate()
                try:
                    process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise
        if process.returncode:
            text = log.read_text("utf-8", errors="backslashreplace")
            return _reason(text, process.returncode)
        self.note_done()
        return None

    def note_done(self) -> None:
        """Write ``job.json``: that it is done, and its column's name."""
        note = {"digest": self.digest(), "features": self.features}
        replace_text(self.output / _NOTE, json.dumps(note) + "\n")


def read_note(folder: Path) -> Note | None:
    """What ``job.json`` says, None where there is none."""
    path = folder / _NOTE
    if not path.is_file():
        return None
    return read_json(path, Note, way_out="remove it to run the job again")


def encoder_files(source: str) -> list[Path]:
    """Files that decide what an encoder is, wherever it comes from.

    Of an encoder folder, or a run's output folder with one in it, the sizes,
    weights and card; of a folder of others all it holds; else the file.
    """
    path = resolve(source)
    for folder in (path, path / "encoder"):
        if (folder / _ENCODER_FILES[0]).is_file():
            there = [folder / name for name in _ENCODER_FILES]
            return [file for file in there if file.is_file()]
    return list(_walk(path)) if path.is_dir() else [path]


@lru_cache
def _sha256(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change of every file, read without opening."""
    for path in _walk(folder):
        there = path.exists()  # not at the end of a broken link
        status = os.stat(path, follow_symlinks=there)
        yield (
            os.path.relpath(path, folder),
            status.st_size,
            status.st_mtime_ns,
        )


def _walk(folder: Path) -> Iterator[Path]:
    """All files but those that are hidden or that file managers leave."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if not _is_clutter(n))
        for name in sorted(names):
            if not _is_clutter(name):
                yield Path(parent, name)


def _is_clutter(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) or name in _OF_FILE_MANAGERS


def _reason(text: str, status: int) -> str:
    """The recipe's own line, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    return lines[-1] if lines else f"exit status {status}"
