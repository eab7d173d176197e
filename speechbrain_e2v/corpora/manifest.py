"""Utterances, and the JSON manifests that list them.

A manifest is what SpeechBrain's ``load_data_json`` reads: ``{id: row}``, the
audio path written as ``{data_root}/relative/path.wav`` and every other brace
doubled. Beside ``all.json`` lies ``all.meta.json`` with the folder that
``{data_root}`` stands for, counts, and a digest of the content.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.atomic import replace_text

SPEC_VERSION = 1
PLACEHOLDER = "{data_root}"
_FIELDS = tuple(f.name for f in fields(Utterance))
_OPTIONAL = ("split", "session", "dialog", "start", "stop", "text")
# "length" is what SpeechBrain's own IEMOCAP recipe calls the duration.
_ROW_KEYS = frozenset(_FIELDS[1:]) | {"length"}
_NUMBERS = frozenset(
    ("start", "stop", "duration", "num_samples", "sample_rate", "channels")
)
Rows = dict[str, dict[str, Any]]


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

    Example
    -------
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

    Example
    -------
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

    Example
    -------
    >>> tmp = getfixture("tmp_path")
    >>> _ = write_manifest(tmp / "m.json", [Utterance("a", "x/a.wav")], tmp)
    >>> read_manifest(tmp / "m.json", data_root="/corpus")[0].wav
    '/corpus/x/a.wav'
    """
    rows = _parse_json(path)
    replacements = {}
    if data_root is not None:
        replacements["data_root"] = Path(os.path.abspath(data_root)).as_posix()
    elif any(
        isinstance(row, dict) and PLACEHOLDER in str(row.get("wav"))
        for row in rows.values()
    ):
        if not meta_path(path).is_file():
            raise ManifestError(
                f"{path}: {meta_path(path)} is missing, so the audio folder "
                "is not known; keep both files together or give data_root"
            )
        meta = _parse_json(meta_path(path))
        if not isinstance(meta.get("data_root"), str):
            raise ManifestError(f"{meta_path(path)}: 'data_root' is missing")
        replacements["data_root"] = meta["data_root"]
    return [
        _from_row(path, name, rows[name], replacements) for name in sorted(rows)
    ]


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

    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot read it ({error.strerror}); prepare the corpus "
            "first, or correct the path"
        ) from error
    try:
        value = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ManifestError(
            f"{path}: expected a mapping, found a {type(value).__name__}"
        )
    return value


def _from_row(
    path: str | os.PathLike,
    name: str,
    row: Any,
    replacements: Mapping[str, str],
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


def _formatted(value: Any, replacements: Mapping[str, str]) -> Any:
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
