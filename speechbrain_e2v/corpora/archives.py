"""From a downloaded zip file to a corpus folder, whole or not at all."""

import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.files.atomic import replace_text, unfinished_folder
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.files.download import fetch, require_room

MARKER = ".downloaded.json"


def download_corpus(
    corpus: Corpus, folder: str | Path, progress: bool = True, **options: Any
) -> list[str]:
    """Fetch and unpack a corpus; names of the archives that were not there.

    ``options`` are those of :func:`speechbrain_e2v.files.download.fetch`.

    Raises ValueError when the origin allows no unattended download, or as
    :func:`~speechbrain_e2v.files.download.fetch` and :func:`unpack`.
    """
    if not corpus.downloads:
        raise ValueError(
            f"{corpus.name} cannot be downloaded unattended; its README.md "
            "says where to ask for it"
        )
    folder = Path(folder)
    marker = folder / MARKER
    done = read_json(marker, dict[str, str]) if marker.is_file() else {}
    fetched = []
    for download in corpus.downloads:
        if done.get(download.name) == download.url:
            continue
        archive = fetch(download, folder, progress=progress, **options)
        unpack(archive, folder, progress)
        done[download.name] = download.url
        replace_text(marker, json.dumps(done, indent=1) + "\n")
        archive.unlink()
        fetched.append(download.name)
    return fetched


def unpack(
    archive: str | Path, folder: str | Path, progress: bool = True
) -> list[str]:
    """Unpack a zip file into a folder; the folder's new entries, sorted.

    They appear once every one is unpacked and its checksum is right.

    Raises ValueError for a damaged archive, one whose names lead outside the
    folder, a full disk, or when an entry is already there.

    >>> tmp = getfixture("tmp_path")
    >>> with zipfile.ZipFile(tmp / "a.zip", "w") as file:
    ...     file.writestr("wav/a.wav", b"x")
    >>> unpack(tmp / "a.zip", tmp / "corpus", progress=False)
    ['wav']
    """
    archive, folder = Path(archive), Path(folder)
    with unfinished_folder(folder) as unfinished:
        try:
            with zipfile.ZipFile(archive) as file:
                members = file.infolist()
                _check_names(archive, members)
                size = sum(member.file_size for member in members)
                require_room(folder, size, f"the content of {archive.name}")
                for member in progress_bar(
                    members,
                    desc=archive.name,
                    unit="file",
                    disable=not progress,
                ):
                    file.extract(member, unfinished)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{archive} is damaged ({error}); delete it and download it "
                "again"
            ) from error
        return _move(unfinished, folder)


def _check_names(archive: Path, members: Iterable[zipfile.ZipInfo]) -> None:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise ValueError(
                f"{archive}: {member.filename!r} leads out of the folder; "
                "do not unpack this file"
            )


def _move(source: Path, folder: Path) -> list[str]:
    names = sorted(path.name for path in source.iterdir())
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise ValueError(
            f"{folder}: {', '.join(there[:5])} is already there; move it "
            "away, or leave out --download"
        )
    for name in names:
        os.replace(source / name, folder / name)
    return names
