"""From what stands on a command line to clips with unique ids."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.walk import (
    AUDIO_SUFFIXES,
    find_audio,
    path_text,
)
from speechbrain_e2v.inference.clips import Clip

LIST_SUFFIXES = frozenset((".txt", ".lst", ".list", ".scp"))


def list_clips(
    arguments: Sequence[str | Path], channel: int | None = None
) -> list[Clip]:
    """Find the audio that files, folders and lists name; each file once.

    Folders are searched at any depth. Text files (.txt, .lst, .list, .scp)
    have a path a line, relative to the text file; a Kaldi id in front is
    ignored in .scp. The ids of manifests (.json) stay.

    Other ids are paths below the folder that was given, and the stems of
    single files; where two of these are the same, the paths of all below their
    deepest common folder. Suffixes are left out where that is enough.

    Raises ValueError when there is no audio, or two ids are the same;
    FileNotFoundError naming an argument that does not exist.

    >>> folder = getfixture("tmp_path")
    >>> for name in ("a/x.wav", "b/x.wav", "b/y.flac", "b/y.wav", "b/z.txt"):
    ...     path = folder / name
    ...     path.parent.mkdir(exist_ok=True)
    ...     path.touch()
    >>> [clip.name for clip in list_clips([folder])]
    ['a/x', 'b/x', 'b/y.flac', 'b/y.wav']
    >>> [clip.name for clip in list_clips([folder / "a/x.wav"])]
    ['x']
    """
    clips: list[Clip] = []
    files: dict[str, tuple[Path, Path | None]] = {}
    for argument in map(Path, arguments):
        found: dict[Path, Path | None]
        if argument.is_dir():
            below = [argument / name for name in find_audio(argument)]
            found = dict.fromkeys(below, argument)
        elif argument.suffix.lower() == ".json":
            clips += _of_manifest(argument)
            continue
        elif argument.suffix.lower() in LIST_SUFFIXES:
            found = dict.fromkeys(_of_list(argument))
        else:
            found = {argument: None}
        for path, root in found.items():
            files.setdefault(os.path.abspath(path), (path, root))
    clips += _named(list(files.values()))
    if not clips:
        raise ValueError(
            f"no audio in {', '.join(map(str, arguments))}: files must end in "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}"
        )
    counts = Counter(clip.name for clip in clips)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            f"{len(twice)} ids are there twice, the first is {twice[0]!r}: "
            "extract these inputs into separate folders"
        )
    return [replace(clip, channel=channel) for clip in clips]


def _of_list(path: Path) -> Iterator[Path]:
    kaldi = path.suffix.lower() == ".scp"
    for line in _text(path).splitlines():
        line = line.strip()
        if kaldi and line:
            line = line.split(maxsplit=1)[-1]
        if line and not line.startswith("#"):
            yield path.parent / line


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} is UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line} is not UTF-8: save it as UTF-8"
        ) from error


def _of_manifest(path: Path) -> list[Clip]:
    return [
        Clip(_safe(u.id), u.wav, u.start, u.stop) for u in read_manifest(path)
    ]


def _safe(name: str) -> str:
    """An id as the name of a file inside the output folder.

    Ids that differ only as paths do not (``a//b``, ``a/./b``) are one file,
    so they are one id here.
    """
    path = PurePosixPath(name)
    odd = not path.parts or ".." in path.parts or "\\" in name or "\0" in name
    if odd or path.is_absolute():
        raise ValueError(f"id {name!r} cannot be the name of an output file")
    return path.as_posix()


def _named(files: list[tuple[Path, Path | None]]) -> list[Clip]:
    """Name files: path, and the folder it was found below, or None."""
    relative = [
        path.relative_to(root) if root is not None else Path(path.name)
        for path, root in files
    ]
    ids = [path.with_suffix("").as_posix() for path in relative]
    folders: dict[str, set[Path]] = {}
    for (path, _), name in zip(files, ids, strict=True):
        folders.setdefault(name, set()).add(path.absolute().parent)
    if any(len(where) > 1 for where in folders.values()):
        paths = [os.path.abspath(path) for path, _ in files]
        common = os.path.commonpath([os.path.dirname(path) for path in paths])
        relative = [Path(os.path.relpath(path, common)) for path in paths]
        ids = [path.with_suffix("").as_posix() for path in relative]
    count = Counter(ids)
    return [
        Clip(
            path_text(name if count[name] == 1 else kept.as_posix()),
            path=str(path),
        )
        for (path, _), kept, name in zip(files, relative, ids, strict=True)
    ]
