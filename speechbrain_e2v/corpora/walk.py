"""What lies below a folder: the one walk of all commands and recipes."""

import logging
import os
from pathlib import Path

from speechbrain_e2v.corpora.ffmpeg import FFMPEG_SUFFIXES

_logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = FFMPEG_SUFFIXES | frozenset(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .sph "
    ".w64 .wav .wave".split()
)


def find_audio(folder: str | Path) -> list[str]:
    """Everything below a folder that is named like audio, sorted.

    Paths are POSIX and relative. Names that are not UTF-8 are among them:
    reading such a file is refused by name, not all of the folder.

    >>> folder = getfixture("tmp_path")
    >>> _ = [(folder / n).touch() for n in ("b.wav", "a.M4A", "c.txt")]
    >>> find_audio(folder)
    ['a.M4A', 'b.wav']
    """
    return [
        path
        for path in walk(folder)
        if os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES
    ]


def path_text(path: str) -> str:
    r"""A path as text; bytes that are not UTF-8 as ``\\xe8``.

    >>> print(path_text(b"col\xe8re.wav".decode("utf-8", "surrogateescape")))
    col\xe8re.wav
    """
    try:
        data = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # not from a file system
        data = path.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace").replace("\0", r"\x00")


def walk(folder: str | Path) -> list[str]:
    """Files below a folder, each once, as POSIX relative paths, sorted.

    Links are followed, but what is there under its own name is not listed
    again under a link's, so that no ring of links is endless. Hidden files,
    and what macOS leaves in archives, are left out; a folder that may not be
    read is warned of.
    """
    root = str(folder)
    files: list[str] = []
    identities: set[tuple[int, int]] = set()  # of folders, later of files
    file_links: list[str] = []
    waiting = [""]
    while waiting:
        folder_links: list[str] = []
        for relative in waiting:
            if _is_new(os.path.join(root, relative), identities):
                _scan(root, relative, identities, files, file_links,
                      folder_links)  # fmt: skip
        waiting = sorted(folder_links)
    if file_links:
        identities = {
            (status.st_dev, status.st_ino)
            for status in (os.lstat(os.path.join(root, f)) for f in files)
        }
        files += [
            link
            for link in sorted(file_links)
            if _is_new(os.path.join(root, link), identities)
        ]
    return sorted(files)


def _scan(
    root: str,
    relative: str,
    identities: set[tuple[int, int]],
    files: list[str],
    file_links: list[str],
    folder_links: list[str],
) -> None:
    """List a folder and those in it that are no links."""
    try:
        entries = sorted(
            os.scandir(os.path.join(root, relative)), key=lambda e: e.name
        )
    except OSError as error:
        _logger.warning("%s: %s, not searched", error.filename, error.strerror)
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path = f"{relative}/{entry.name}" if relative else entry.name
        if entry.is_symlink():
            (folder_links if entry.is_dir() else file_links).append(path)
        elif entry.is_dir():
            if _is_new(entry.path, identities):
                _scan(root, path, identities, files, file_links, folder_links)
        else:
            files.append(path)


def _is_new(path: str, identities: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(path)
    except OSError:  # a link that leads nowhere: reading it says so
        return True
    identity = status.st_dev, status.st_ino
    if identity in identities:
        return False
    identities.add(identity)
    return True
