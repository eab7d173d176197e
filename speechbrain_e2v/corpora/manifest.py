"""Utterances, and the JSON manifests that list them.

A manifest is what SpeechBrain's ``load_data_json`` reads: ``{id: row}``, the
audio path written as ``{data_root}/relative/path.wav`` and every other brace
doubled. Beside ``all.json`` lies ``all.meta.json`` with the folder that
``{data_root}`` stands for, counts, and a digest of the content.
"""

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from speechbrain_e2v.corpora.label_tables import check_class_name, read_text
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import read_json

SPEC_VERSION = 1
PLACEHOLDER = "{data_root}"
_FIELDS = tuple(f.name for f in fields(Utterance))
_OPTIONAL = ("split", "session", "dialog", "start", "stop", "text")
# "length" is what SpeechBrain's own IEMOCAP recipe calls the duration.
_ROW_KEYS = frozenset(_FIELDS[1:]) | {"length"}
_BRACES = re.compile(r"\{\{|\}\}|\{data_root\}|[{}]")
Rows = dict[str, dict[str, Any]]


class ManifestMeta(msgspec.Struct):
    """What stands beside a manifest; tools of others may leave out a lot."""

    data_root: str = ""
    n_rows: int = 0
    hours: float = 0.0
    speakers: int = 0
    content_sha256: str = ""
    input_sha256: str = ""
    skipped: dict[str, int] = {}  # reason to number
    differences: list[tuple[str, Any, Any]] = []


class ManifestError(ValueError):
    """A manifest that cannot be written or read, with the file and the row."""


def meta_path(path: str | os.PathLike) -> Path:
    """The meta file of a manifest: ``all.json`` -> ``all.meta.json``."""
    return Path(path).with_suffix(".meta.json")


def write_manifest(
    path: str | os.PathLike,
    utterances: Iterable[Utterance],
    data_root: str | os.PathLike,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Write a manifest and its meta file, sorted by id.

    ``meta`` holds more entries of the meta file. Raises ManifestError for
    duplicate ids and for relative paths out of ``data_root``.

    >>> tmp = getfixture("tmp_path")
    >>> rows = [Utterance("a", "x/a.wav", text="he said {yes}")]
    >>> read_manifest(write_manifest(tmp / "m.json", rows, tmp))[0].text
    'he said {yes}'
    """
    path = Path(path)
    if path.suffix != ".json":
        raise ManifestError(f"{path}: a manifest is named <something>.json")
    root = Path(os.path.abspath(data_root)).as_posix()
    utterances = list(utterances)
    rows = to_rows(utterances, root)
    classes = Counter(u.emo for u in utterances if u.emo is not None)
    seconds = sum(u.duration for u in utterances)
    description = {
        "spec_version": SPEC_VERSION,
        "data_root": root,
        "n_rows": len(rows),
        "hours": round(seconds / 3600, 6),
        "per_class": dict(sorted(classes.items())),
        "speakers": len({u.spk for u in utterances if u.spk}),
        "skipped": {},
        "sources": {},
        **(meta or {}),
        "content_sha256": rows_digest(rows),
    }
    replace_text(path, _json(rows))
    replace_text(meta_path(path), _json(description))  # last: it vouches
    return path


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
        if not row["extra"]:
            del row["extra"]
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


def _json(rows: Mapping[str, Any]) -> str:
    """One line per row: quick to write, to search and to compare."""
    lines = [
        f" {_compact(name)}: {_compact(rows[name])}" for name in sorted(rows)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False
    )


def read_manifest(
    path: str | os.PathLike, data_root: str | os.PathLike | None = None
) -> list[Utterance]:
    """Utterances of a manifest in order of id, with absolute audio paths.

    ``data_root`` is the corpus folder; ``None`` takes the one of the meta
    file. Raises ManifestError naming the file and, where there is one, the
    row.

    >>> tmp = getfixture("tmp_path")
    >>> _ = write_manifest(tmp / "m.json", [Utterance("a", "x/a.wav")], tmp)
    >>> read_manifest(tmp / "m.json", data_root="/corpus")[0].wav
    '/corpus/x/a.wav'
    """
    rows = _parse_json(path)
    root = None
    if data_root is not None:
        root = Path(os.path.abspath(data_root)).as_posix()
    elif any(
        isinstance(row, dict) and PLACEHOLDER in str(row.get("wav"))
        for row in rows.values()
    ):
        if not meta_path(path).is_file():
            raise ManifestError(
                f"{path}: {meta_path(path)} is missing, so the audio folder "
                "is not known; keep both files together or give data_root"
            )
        root = read_meta(path).data_root
        if not os.path.isabs(root):
            raise ManifestError(f"{meta_path(path)}: 'data_root' is missing")
    return [_from_row(path, name, rows[name], root) for name in sorted(rows)]


def manifest_digest(path: str | os.PathLike) -> str:
    """:func:`rows_digest` of a manifest as it is on disk."""
    return rows_digest(_parse_json(path))


def read_meta(path: str | os.PathLike) -> ManifestMeta:
    """What the meta file of a manifest says; ManifestError for a bad one."""
    try:
        return read_json(meta_path(path), ManifestMeta)
    except (ValueError, OSError) as error:
        raise ManifestError(str(error)) from error


def _parse_json(path: str | os.PathLike) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            seen = Counter(key for key, _ in pairs)
            twice = [key for key, count in seen.items() if count > 1]
            raise ManifestError(
                f"{path}: {twice[0]!r} is there twice ({len(twice)} such "
                "keys); ids must be unique"
            )
        return keys

    if Path(path).exists() and not Path(path).is_file():
        raise ManifestError(f"{path}: no regular file")
    try:
        value = json.loads(
            read_text(path), object_pairs_hook=unique, parse_constant=_refuse
        )
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot read it ({error.strerror}); prepare the corpus "
            "first, or correct the path"
        ) from error
    except ManifestError:
        raise
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ManifestError(
            f"{path}: expected a mapping, found a {type(value).__name__}"
        )
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _from_row(
    path: str | os.PathLike, name: str, row: Any, data_root: str | None
) -> Utterance:
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
