"""From utterances to the rows of a manifest, and back."""

import hashlib
import json
import os
from dataclasses import fields
from pathlib import PurePosixPath

from speechbrain_e2v.corpora.utterance import Utterance

PLACEHOLDER = "{data_root}"


class ManifestError(ValueError):
    """A manifest that cannot be written or read, with the file and the row."""


_FIELDS = tuple(f.name for f in fields(Utterance))
_OPTIONAL = ("split", "session", "dialog", "start", "stop", "text")
# "length" is what SpeechBrain's own IEMOCAP recipe calls the duration.
_ROW_KEYS = frozenset(_FIELDS[1:]) | {"length"}
_NUMBERS = {"start", "stop", "duration"} | {
    "num_samples",
    "sample_rate",
    "channels",
}


def _escaped(value):
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def _formatted(value, replacements):
    if isinstance(value, str):
        # The test is not needed, but makes big manifests load much faster.
        if "{" in value or "}" in value:
            return value.format_map(replacements)
        return value
    if isinstance(value, dict):
        return {k: _formatted(v, replacements) for k, v in value.items()}
    if isinstance(value, list):
        return [_formatted(item, replacements) for item in value]
    return value


def _relative(utterance, data_root):
    path = PurePosixPath(utterance.wav)
    if path.is_absolute():
        if not path.is_relative_to(data_root):
            raise ManifestError(
                f"{utterance.id}: {path} is not inside the data root "
                f"{data_root}; choose a data root that holds every file"
            )
        path = path.relative_to(data_root)
    if not utterance.wav or ".." in path.parts:
        raise ManifestError(
            f"{utterance.id}: the audio path {utterance.wav!r} must be a path "
            f"inside the data root {data_root}"
        )
    return path


def to_rows(utterances, data_root):
    """Manifest rows ``{id: row}`` of utterances, in order of id.

    Arguments
    ---------
    utterances : iterable of Utterance
        Audio paths relative to ``data_root``, or absolute and inside it.
    data_root : str
        Absolute POSIX path of the corpus folder.

    Returns
    -------
    dict
        Rows with ``{data_root}`` in front of the audio path, braces doubled,
        seconds rounded to microseconds, empty optional fields left out.

    Raises
    ------
    ManifestError
        For empty or duplicate ids and for audio outside ``data_root``.

    Example
    -------
    >>> to_rows([Utterance("a", "/c/x.wav")], "/c")["a"]["wav"]
    '{data_root}/x.wav'
    """
    rows = {}
    for utterance in sorted(utterances, key=lambda u: u.id):
        if not utterance.id:
            raise ManifestError(f"{utterance.wav}: the utterance id is empty")
        if utterance.id in rows:
            raise ManifestError(
                f"duplicate id {utterance.id!r}: {utterance.wav} and "
                f"{rows[utterance.id]['wav']}; ids must be unique, put the "
                "folder or the split in front"
            )
        row = {name: _escaped(getattr(utterance, name)) for name in _FIELDS}
        del row["id"]  # reserved by SpeechBrain: it is the key of the row
        for name in _OPTIONAL:
            if row[name] is None:
                del row[name]
        if not row["extra"]:
            del row["extra"]
        row["wav"] = f"{PLACEHOLDER}/" + _escaped(
            str(_relative(utterance, data_root))
        )
        row["length"] = row["duration"]
        rows[utterance.id] = row
    return rows


def rows_digest(rows):
    """Digest of manifest rows, the same wherever the audio lies.

    Arguments
    ---------
    rows : dict
        ``{id: row}`` as in the JSON file (with the placeholder).

    Returns
    -------
    str
        SHA-256 of one canonical JSON line per row, in order of id.

    Example
    -------
    >>> rows = {"a": {"wav": "{data_root}/a.wav"}}
    >>> rows_digest(rows)[:8]
    'ec8ba18c'
    """
    digest = hashlib.sha256()
    for name in sorted(rows):
        line = json.dumps(
            {"id": name, **rows[name]}, sort_keys=True, ensure_ascii=False
        )
        digest.update(line.encode("utf-8") + b"\n")
    return digest.hexdigest()


def from_row(path, name, row, replacements):
    """The utterance of one manifest row.

    Arguments
    ---------
    path : str or Path
        The manifest, for messages only.
    name : str
        The id.
    row : dict
        The row as read from JSON.
    replacements : dict
        ``{"data_root": folder}``, or empty when every path is absolute.

    Returns
    -------
    Utterance
        With an absolute audio path.

    Raises
    ------
    ManifestError
        Naming the file, the row and the field.

    Example
    -------
    >>> row = {"wav": "{data_root}/a.wav", "duration": 1.5}
    >>> from_row("m.json", "a", row, {"data_root": "/c"}).duration
    1.5
    """
    if not isinstance(row, dict):
        raise ManifestError(f"{path}: row {name!r} is not a mapping")
    unknown = sorted(set(row) - _ROW_KEYS)
    if unknown:
        raise ManifestError(
            f"{path}: row {name!r} has unknown fields {unknown}; known are "
            f"{sorted(_ROW_KEYS)}, anything else goes into 'extra'"
        )
    if not isinstance(row.get("wav"), str):
        raise ManifestError(f"{path}: row {name!r} has no 'wav'")
    try:
        row = _formatted(row, replacements)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise ManifestError(
            f"{path}: row {name!r} has a single brace that is not "
            f"{PLACEHOLDER} ({error!r}); write {{{{ and }}}} for braces"
        ) from error
    if not os.path.isabs(row["wav"]):
        raise ManifestError(
            f"{path}: row {name!r}: {row['wav']!r} is not absolute; write it "
            f"as '{PLACEHOLDER}/relative/path'"
        )
    length = row.pop("length", 0.0)
    row.setdefault("duration", length)
    for key in _NUMBERS & set(row):
        number = row[key]
        if type(number) not in (int, float):
            if number is None and key in _OPTIONAL:
                continue
            raise ManifestError(
                f"{path}: row {name!r}: {key} is {number!r}, not a number"
            )
    return Utterance(id=name, **row)
