"""Fetching a file from its origin: resumed, checked, never half there."""

import hashlib
import http.client
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from speechbrain_e2v import __version__
from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.files.atomic import replace_text

_CHUNK = 1 << 20
_TIMEOUT = 60.0
_BROKEN = (
    ConnectionError,
    TimeoutError,
    http.client.HTTPException,
    ssl.SSLError,
    urllib.error.URLError,
)


@dataclass(frozen=True)
class Download:
    """A file at its origin.

    >>> Download("https://example.org/a.zip?download=1", "a.zip").md5 is None
    True
    """

    url: str
    name: str  # of the file here
    md5: str | None = None  # as published, if it is
    size: int | None = None  # bytes, if published
    room: int = 2  # times its size: what is packed grows once unpacked


class _Interrupted(Exception):
    """The connection ended before the file did."""


def require_room(folder: Path, needed: int, what: str) -> None:
    """Raise unless a folder's disk has room.

    Raises ValueError with both numbers.

    >>> require_room(Path("."), 1, "a.zip")
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"{what} needs {needed / 1e6:,.1f} MB on the disk of {folder}, "
            f"which has {free / 1e6:,.1f} MB; make room or choose another "
            "folder"
        )


def fetch(
    download: Download,
    folder: str | Path,
    attempts: int = 5,
    wait: float = 2.0,
    progress: bool = True,
) -> Path:
    """Download a file, going on where an earlier attempt stopped.

    The file appears under its name when it is complete and its checksum is
    right; before that it is ``<name>.part``. ``attempts`` may fail in a row,
    without a single new byte; ``wait`` seconds pass before the second one,
    doubled each time.

    Raises ValueError when the disk is too small, the size or checksum is wrong,
    the origin refuses, or the connection keeps breaking.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / download.name
    if target.is_file():
        _verify(download, target)
        return target
    part = folder / f"{download.name}.part"
    about = folder / f"{download.name}.part.json"
    failures = 0
    while True:
        before = _size(part)
        try:
            _transfer(download, part, about, progress)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise ValueError(
                    f"{download.url}: the origin answers {error.code} "
                    f"({error.reason}); get {download.name} by hand and put "
                    f"it into {folder}"
                ) from error
            problem = f"{error.code} ({error.reason})"
        except (*_BROKEN, _Interrupted) as error:
            problem = str(error) or type(error).__name__
        failures = 1 if _size(part) > before else failures + 1
        if failures >= attempts:
            raise ValueError(
                f"{download.url}: {problem}; {_size(part):,} bytes are kept "
                f"in {part}, run the same command again to go on from there"
            )
        time.sleep(wait * 2 ** (failures - 1))
    _verify(download, part)
    part.replace(target)
    about.unlink(missing_ok=True)
    return target


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _transfer(
    download: Download, part: Path, about: Path, progress: bool
) -> None:
    headers = {"User-Agent": f"speechbrain_e2v/{__version__}"}
    known = json.loads(about.read_text("utf-8")) if about.is_file() else {}
    start = _size(part)
    # Without a name for its version, the rest might be of another file.
    if known.get("url") != download.url or not known.get("version"):
        start = 0
    if start and start == known["total"]:
        return
    if start:
        headers["Range"] = f"bytes={start}-"
        headers["If-Range"] = known["version"]
    request = urllib.request.Request(download.url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        if response.status != 206:
            start = 0  # the whole file: it changed, or no ranges are served
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else download.size
        if total is not None:
            needed = download.room * total - start
            require_room(part.parent, needed, download.name)
        version = response.headers.get("ETag", "")
        if not version or version.startswith("W/"):
            version = response.headers.get("Last-Modified")
        note = {"url": download.url, "version": version, "total": total}
        with open(part, "ab" if start else "wb") as file:
            replace_text(about, json.dumps(note))
            _copy(response, file, start, total, download.name, progress)
    if total is not None and _size(part) < total:
        raise _Interrupted(f"broken off at {_size(part):,} of {total:,} bytes")


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    start: int,
    total: int | None,
    name: str,
    progress: bool,
) -> None:
    with progress_bar(
        total=total,
        initial=start,
        desc=name,
        unit="B",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        while chunk := response.read1(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _verify(download: Download, path: Path) -> None:
    size = _size(path)
    problem = None
    if download.size is not None and size != download.size:
        problem = f"has {size:,} bytes, not {download.size:,}"
    elif download.md5 is not None:
        digest = hashlib.md5(usedforsecurity=False)
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        found = digest.hexdigest()
        if found != download.md5:
            problem = f"has the md5 {found}, not {download.md5}"
    if problem:
        path.unlink()
        raise ValueError(
            f"{download.url}: what came {problem}; it was deleted, run the "
            "same command again"
        )
