"""Finding audio files in a folder, and refusing names nobody understands."""

import logging
import os
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.walk import (
    AUDIO_SUFFIXES,
    find_audio,
    path_text,
    walk,
)

_logger = logging.getLogger(__name__)

_SHOWN = 20
_UNPACKED = "give the unpacked corpus"
_T = TypeVar("_T")


def list_files(
    folder: str | Path, pattern: str, advice: str = _UNPACKED
) -> list[str]:
    """Files below a folder as POSIX paths relative to it, sorted.

    Upper case counts in ``pattern`` too; links to folders are followed, what
    macOS leaves behind is not listed. ``advice`` ends the message when there
    is no such file.

    Raises ValueError when there is no such folder, or no such file in it.

    >>> folder = getfixture("tmp_path")
    >>> _ = [(folder / n).touch() for n in ("b.wav", "a.WAV", "._a.wav")]
    >>> list_files(folder, "*.wav")
    ['a.WAV', 'b.wav']
    """
    found = _matching(folder, pattern)
    if not found:
        raise ValueError(f"{folder}: no {pattern} below it; {advice}")
    return found


def _matching(folder: str | Path, pattern: str) -> list[str]:
    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: no such folder; {_UNPACKED}")
    found = [
        path
        for path in walk(folder)
        if fnmatch(path.rsplit("/", 1)[-1].lower(), pattern.lower())
    ]
    odd = [path_text(path) for path in found if path_text(path) != path]
    if odd:
        raise ValueError(
            f"{folder}: {len(odd)} file names are not UTF-8; rename them "
            f"(convmv): {', '.join(odd[:_SHOWN])}"
        )
    return found


def find_file(folder: str | Path, pattern: str, origin: str) -> Path:
    """The one file below a folder that has this name.

    Raises ValueError when there is none, or more than one.

    >>> folder = getfixture("tmp_path")
    >>> (folder / "labels.csv").touch()
    >>> find_file(folder, "labels.csv", "the archive").name
    'labels.csv'
    """
    found = _matching(folder, pattern)
    if not found:
        raise ValueError(
            f"{folder}: no {pattern} below it; it comes with {origin}"
        )
    if len(found) > 1:
        raise ValueError(
            f"{folder}: {pattern} is there {len(found)} times "
            f"({', '.join(found[:_SHOWN])}); keep one"
        )
    return Path(folder, found[0])


def drop_nested_copies(
    found: Sequence[tuple[str, _T]], folder: str | Path
) -> list[tuple[str, _T]]:
    """Keep one of several files of the same name, the least deeply nested.

    ``found`` holds paths relative to ``folder``, each with anything.

    Some mirrors hold a second copy of every file in a folder inside.

    Raises ValueError when two files of one name differ in size, hence are no
    copies.

    >>> folder = getfixture("tmp_path")
    >>> (folder / "deep").mkdir()
    >>> _ = [(folder / n).touch() for n in ("a.wav", "deep/a.wav")]
    >>> drop_nested_copies([("a.wav", 1), ("deep/a.wav", 1)], folder)
    [('a.wav', 1)]
    """
    kept: dict[str, tuple[str, _T]] = {}
    for path, match in sorted(found, key=lambda f: (f[0].count("/"), f[0])):
        name = path.rsplit("/", 1)[-1]
        first = kept.setdefault(name, (path, match))[0]
        sizes = [Path(folder, p).stat().st_size for p in (first, path)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"{folder}: {first} and {path} have one name and "
                f"{sizes[0]} and {sizes[1]} bytes; remove the wrong one"
            )
    if len(kept) < len(found):
        _logger.warning(
            "%s: %d nested copies are not read",
            folder,
            len(found) - len(kept),
        )
    return sorted(kept.values(), key=lambda item: item[0])


def match_names(
    folder: str | Path,
    pattern: str,
    expression: re.Pattern[str],
    advice: str = _UNPACKED,
) -> list[tuple[str, re.Match[str]]]:
    """Audio files whose names must all have one form.

    Raises ValueError naming the files that do not match.

    >>> import re
    >>> folder = getfixture("tmp_path")
    >>> (folder / "03a.wav").touch()
    >>> found = match_names(folder, "*.wav", re.compile(r"(\\d\\d)([a-z]).wav"))
    >>> [(path, match[1]) for path, match in found]
    [('03a.wav', '03')]
    """
    paths = list_files(folder, pattern, advice)
    matched, strange = [], []
    for path in paths:
        match = expression.fullmatch(path.rsplit("/", 1)[-1])
        if match is None:
            strange.append(path)
        else:
            matched.append((path, match))
    if strange:
        raise ValueError(
            f"{folder}: {len(strange)} file names are not of the form "
            f"{expression.pattern}; move them away or correct them: "
            + ", ".join(strange[:_SHOWN])
        )
    return matched


def scan_folder(
    folder: str | Path, pattern: str | None = None, exclude: Sequence[str] = ()
) -> list[Utterance]:
    """Utterances of a folder of unlabelled audio.

    All that is named like audio, or like ``pattern``. The id is the relative
    path without its suffix, ``/`` written as ``__``. ``exclude`` holds
    patterns of relative paths, such as ``"EmoDB/*"``.

    Raises ValueError when nothing is left, or two files get the same id.

    >>> folder = getfixture("tmp_path")
    >>> (folder / "x").mkdir()
    >>> (folder / "x" / "a.wav").touch()
    >>> scan_folder(folder)[0].id
    'x__a'
    """
    found = find_audio(folder) if pattern is None else list_files(
        folder, pattern)  # fmt: skip
    if not found:
        raise ValueError(
            f"{folder}: no audio below it; files must end in "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}"
        )
    paths = [
        path
        for path in found
        if not any(fnmatch(path, excluded) for excluded in exclude)
    ]
    if not paths:
        raise ValueError(
            f"{folder}: {list(exclude)} leaves no {pattern or 'audio'}; "
            "exclude less"
        )
    named: dict[str, str] = {}
    for path in paths:
        name = path_text(os.path.splitext(path)[0]).replace("/", "__")
        if name in named:
            raise ValueError(
                f"{folder}: {named[name]} and {path} would both be {name!r}; "
                "rename or exclude one, or give a pattern (--pattern)"
            )
        named[name] = path
    return [Utterance(name, named[name]) for name in sorted(named)]
