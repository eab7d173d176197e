"""An utterance as a row of a manifest, and a row as an utterance.

Rows are what SpeechBrain's ``load_data_json`` formats: the audio path begins
with ``{data_root}``, and every other brace is doubled. ``votes`` are label and
count, or a list of [annotator, label] that is counted here.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import msgspec

from speechbrain_e2v.corpora.label_tables import check_class_name
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.votes import tally

PLACEHOLDER = "{data_root}"
_FIELDS = tuple(f.name for f in fields(Utterance))
_OPTIONAL = ("split", "session", "dialog", "start", "stop", "text")
# "length" is what SpeechBrain's own IEMOCAP recipe calls the duration.
_ROW_KEYS = frozenset(_FIELDS[1:]) | {"length"}
_BRACES = re.compile(r"\{\{|\}\}|\{data_root\}|[{}]")
Rows = dict[str, dict[str, Any]]


class ManifestError(ValueError):
    """A manifest that cannot be written or read, with the file and the row."""


def to_rows(utterances: Iterable[Utterance], data_root: str) -> Rows:
    """Manifest rows ``{id: row}`` of utterances, in order of id.

    Audio inside ``data_root`` (absolute, POSIX) is relative to it. Braces are
    doubled, seconds rounded to microseconds, empty optional fields left out.

    >>> to_rows([Utterance("a", "/c/x.wav")], "/c")["a"]["wav"]
    '{data_root}/x.wav'
    """
    rows: Rows = {}
    for utterance in sorted(utterances, key=lambda u: u.id):
        if not utterance.id:
            raise ManifestError(f"{utterance.wav}: the utterance id is empty")
        if utterance.id in rows:
            raise ManifestError(
                f"duplicate id {utterance.id!r}: {utterance.wav} and "
                f"{rows[utterance.id]['wav']}; ids must be unique, put the "
                "folder or the split in front"
            )
        for name, value in {**vars(utterance), **utterance.extra}.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ManifestError(
                    f"{utterance.id} ({utterance.wav}): {name} is {value}; "
                    "correct its label file"
                )
        row = {name: _escaped(getattr(utterance, name)) for name in _FIELDS}
        del row["id"]  # reserved by SpeechBrain: it is the key of the row
        for name in _OPTIONAL:
            if row[name] is None:
                del row[name]
        for name in ("votes", "extra"):
            if not row[name]:
                del row[name]
        row["wav"] = _placed(utterance, data_root)
        row["length"] = row["duration"]
        rows[utterance.id] = row
    return rows


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def _placed(utterance: Utterance, data_root: str) -> str:
    """The audio path with the placeholder, or absolute when elsewhere."""
    path = PurePosixPath(utterance.wav)
    if path.is_absolute() and not path.is_relative_to(data_root):
        return _escaped(str(path))
    if path.is_absolute():
        path = path.relative_to(data_root)
    if not utterance.wav or ".." in path.parts:
        raise ManifestError(
            f"{utterance.id}: the audio path {utterance.wav!r} must be "
            f"absolute, or a path inside the data root {data_root}"
        )
    return f"{PLACEHOLDER}/{_escaped(str(path))}"


def rows_digest(rows: Rows) -> str:
    """SHA-256 of manifest rows, the same wherever the audio lies.

    It is taken over one canonical JSON line per row, in order of id.

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


def from_row(
    path: str | os.PathLike, name: str, row: Any, data_root: str | None
) -> Utterance:
    """The utterance of a row of a file; ManifestError names both."""
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
        row = _formatted(row, data_root)
    except ValueError as error:
        raise ManifestError(
            f"{path}: row {name!r} has a single brace that is not "
            f"{PLACEHOLDER} ({error}); write {{{{ and }}}} for braces"
        ) from error
    except RecursionError:
        raise ManifestError(
            f"{path}: row {name!r}: nested too deeply"
        ) from None
    if not os.path.isabs(row["wav"]) or "\0" in row["wav"]:
        raise ManifestError(
            f"{path}: row {name!r}: {row['wav']!r} is not absolute; write it "
            f"as '{PLACEHOLDER}/relative/path'"
        )
    length = row.pop("length", 0.0)
    row.setdefault("duration", length)
    try:
        if isinstance(row.get("votes"), list):
            row["votes"] = tally(
                msgspec.convert(row["votes"], list[tuple[str, str]])
            )
        utterance = msgspec.convert({"id": name, **row}, Utterance)
        if utterance.emo is not None:
            _check_class(utterance.emo)
    except (ValueError, OverflowError) as error:
        problem, _, place = str(error).partition(" - at `$.")
        where = f"{place.rstrip('`')}: " if place else ""
        raise ManifestError(
            f"{path}: row {name!r}: {where}{problem}"
        ) from error
    if utterance.stop is not None and utterance.stop <= (utterance.start or 0):
        raise ManifestError(
            f"{path}: row {name!r}: stop is {utterance.stop:g} s, start is "
            f"{utterance.start or 0:g} s"
        )
    return utterance


_check_class = lru_cache(maxsize=4096)(check_class_name)


def _formatted(value: Any, data_root: str | None) -> Any:
    """Braces undone; not by str.format, which can be made to do more."""
    if isinstance(value, str):
        # The test is not needed, but makes big manifests load much faster.
        if "{" in value or "}" in value:
            return _BRACES.sub(lambda match: _brace(match[0], data_root), value)
        return value
    if isinstance(value, dict):
        return {k: _formatted(v, data_root) for k, v in value.items()}
    if isinstance(value, list):
        return [_formatted(item, data_root) for item in value]
    return value


def _brace(found: str, data_root: str | None) -> str:
    if found == PLACEHOLDER and data_root is not None:
        return data_root
    if found in ("{{", "}}"):
        return found[0]
    raise ValueError(repr(found))
