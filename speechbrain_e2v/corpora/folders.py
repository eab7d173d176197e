"""Finding audio files in a folder, and refusing names nobody understands."""

import logging
import os
from fnmatch import fnmatch
from pathlib import Path

from speechbrain_e2v.corpora.utterance import Utterance

_logger = logging.getLogger(__name__)

IGNORED = ("._*", ".DS_Store", "__MACOSX")
"""What macOS leaves in archives; never audio."""
_SHOWN = 20
_UNPACKED = "give the unpacked corpus"


def list_files(folder, pattern, advice=_UNPACKED):
    """Files below a folder, sorted, without what macOS leaves behind.

    Arguments
    ---------
    folder : str or Path
        Where to look, at any depth; links to folders are followed.
    pattern : str
        File name pattern such as ``"*.wav"`` (upper case counts too).
    advice : str
        What to do when there is none, for the message.

    Returns
    -------
    list of str
        POSIX paths relative to ``folder``.

    Raises
    ------
    ValueError
        When there is no such folder, or no such file in it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = [(folder / n).touch() for n in ("b.wav", "a.WAV", "._a.wav")]
    >>> list_files(folder, "*.wav")
    ['a.WAV', 'b.wav']
    """
    found = _walk(folder, pattern)
    if not found:
        raise ValueError(f"{folder}: no {pattern} below it; {advice}")
    return found


def _walk(folder, pattern):
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; {_UNPACKED}")
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _ignored(name)]
        relative = Path(parent).relative_to(folder)
        found.extend(
            (relative / name).as_posix()
            for name in names
            if fnmatch(name.lower(), pattern.lower()) and not _ignored(name)
        )
    return sorted(found)


def _ignored(name):
    return any(fnmatch(name, pattern) for pattern in IGNORED)


def find_file(folder, pattern, origin):
    """The one file below a folder that has this name.

    Arguments
    ---------
    folder : str or Path
        Where to look, at any depth.
    pattern : str
        File name, or a pattern that spellings have in common.
    origin : str
        Where the file comes from, for the message.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        When there is none, or more than one.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "labels.csv").touch()
    >>> find_file(folder, "labels.csv", "the archive").name
    'labels.csv'
    """
    found = _walk(folder, pattern)
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


def drop_nested_copies(found, folder):
    """Keep one of several files of the same name, the least deeply nested.

    Some mirrors hold a second copy of every file in a folder inside.

    Arguments
    ---------
    found : list of tuple
        (POSIX path relative to ``folder``, anything), as
        :func:`match_names` returns them.
    folder : str or Path
        The corpus.

    Returns
    -------
    list of tuple
        Without the copies, sorted by path.

    Raises
    ------
    ValueError
        When two files of one name differ in size, hence are no copies.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "deep").mkdir()
    >>> _ = [(folder / n).touch() for n in ("a.wav", "deep/a.wav")]
    >>> drop_nested_copies([("a.wav", 1), ("deep/a.wav", 1)], folder)
    [('a.wav', 1)]
    """
    kept = {}
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


def match_names(folder, pattern, expression, advice=_UNPACKED):
    """Audio files whose names must all have one form.

    Arguments
    ---------
    folder, pattern : str or Path, str
        As for :func:`list_files`.
    expression : re.Pattern
        Must match the whole file name.
    advice : str
        As for :func:`list_files`.

    Returns
    -------
    list of tuple
        (POSIX path relative to ``folder``, ``re.Match``), sorted by path.

    Raises
    ------
    ValueError
        Naming the files that do not match.

    Example
    -------
    >>> import re
    >>> folder = getfixture("tmp_path")
    >>> (folder / "03a.wav").touch()
    >>> found = match_names(folder, "*.wav", re.compile(r"(\\d\\d)([a-z]).wav"))
    >>> [(path, match[1]) for path, match in found]
    [('03a.wav', '03')]
    """
    paths = list_files(folder, pattern, advice)
    matches = [expression.fullmatch(path.rsplit("/", 1)[-1]) for path in paths]
    strange = [p for p, m in zip(paths, matches, strict=True) if m is None]
    if strange:
        raise ValueError(
            f"{folder}: {len(strange)} file names are not of the form "
            f"{expression.pattern}; move them away or correct them: "
            + ", ".join(strange[:_SHOWN])
        )
    return list(zip(paths, matches, strict=True))


def scan_folder(folder, pattern="*.wav", exclude=()):
    """Utterances of a folder of unlabelled audio.

    Arguments
    ---------
    folder, pattern : str or Path, str
        As for :func:`list_files`.
    exclude : sequence of str
        Patterns of relative paths to leave out, such as ``"EmoDB/*"``.

    Returns
    -------
    list of Utterance
        The id is the relative path without its suffix, ``/`` written as
        ``__``; audio paths are relative to ``folder``.

    Raises
    ------
    ValueError
        When nothing is left, or two files get the same id.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "x").mkdir()
    >>> (folder / "x" / "a.wav").touch()
    >>> scan_folder(folder)[0].id
    'x__a'
    """
    paths = [
        path
        for path in list_files(folder, pattern)
        if not any(fnmatch(path, excluded) for excluded in exclude)
    ]
    if not paths:
        raise ValueError(
            f"{folder}: {list(exclude)} leaves no {pattern}; exclude less"
        )
    named = {}
    for path in paths:
        name = os.path.splitext(path)[0].replace("/", "__")
        if name in named:
            raise ValueError(
                f"{folder}: {named[name]} and {path} would both be {name!r}; "
                "rename or exclude one"
            )
        named[name] = path
    return [Utterance(name, named[name]) for name in sorted(named)]
