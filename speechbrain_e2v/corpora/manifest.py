"""The JSON manifests that list utterances.

A manifest is what SpeechBrain's ``load_data_json`` reads: ``{id: row}``, see
`manifest_rows`. Beside ``all.json`` lies ``all.meta.json`` with the folder
that ``{data_root}`` stands for, counts, and a digest of the content.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from speechbrain_e2v.corpora.label_tables import read_text
from speechbrain_e2v.corpora.manifest_rows import (
    PLACEHOLDER,
    ManifestError,
    from_row,
    rows_digest,
    to_rows,
)
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import read_json

SPEC_VERSION = 1


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
    return [from_row(path, name, rows[name], root) for name in sorted(rows)]


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
