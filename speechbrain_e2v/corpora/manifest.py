"""Utterances, and the JSON manifests that list them.

A manifest is what SpeechBrain's ``load_data_json`` reads: ``{id: row}``, the
audio path written as ``{data_root}/relative/path.wav`` and every other brace
doubled. Beside ``all.json`` lies ``all.meta.json`` with the folder that
``{data_root}`` stands for, counts, and a digest of the content.
"""

import json
import os
from collections import Counter
from pathlib import Path

from speechbrain_e2v.corpora.manifest_rows import (
    PLACEHOLDER,
    ManifestError,
    from_row,
    rows_digest,
    to_rows,
)
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.atomic import replace_text

__all__ = [
    "ManifestError",
    "Utterance",
    "meta_path",
    "read_manifest",
    "write_manifest",
]

SPEC_VERSION = 1


def meta_path(path):
    """Path of the meta file beside a manifest: ``all.json`` ->
    ``all.meta.json``."""
    return Path(path).with_suffix(".meta.json")


def write_manifest(path, utterances, data_root, meta=None):
    """Write a manifest and its meta file, sorted by id.

    Arguments
    ---------
    path : str or Path
        The ``.json`` file.
    utterances : iterable of Utterance
        Absolute audio paths are made relative to ``data_root``.
    data_root : str or Path
        The corpus folder.
    meta : dict or None
        More entries of the meta file, such as ``skipped`` and ``sources``.

    Returns
    -------
    Path
        The manifest written.

    Raises
    ------
    ManifestError
        For duplicate ids and for audio outside ``data_root``.

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
    data_root = Path(os.path.abspath(data_root)).as_posix()
    utterances = list(utterances)
    rows = to_rows(utterances, data_root)
    classes = Counter(u.emo for u in utterances if u.emo is not None)
    seconds = sum(u.duration for u in utterances)
    description = {
        "spec_version": SPEC_VERSION,
        "data_root": data_root,
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


def _json(rows):
    """One line per row: quick to write, to search and to compare."""
    lines = [
        f" {_compact(name)}: {_compact(rows[name])}" for name in sorted(rows)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value):
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False
    )


def _parse_json(path):
    def unique(pairs):
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


def _has_placeholder(rows):
    return any(
        isinstance(row, dict) and PLACEHOLDER in str(row.get("wav"))
        for row in rows.values()
    )


def read_manifest(path, data_root=None):
    """Read a manifest.

    Arguments
    ---------
    path : str or Path
        The ``.json`` file.
    data_root : str, Path or None
        The corpus folder; ``None`` takes the one of the meta file.

    Returns
    -------
    list of Utterance
        In order of id, with absolute audio paths.

    Raises
    ------
    ManifestError
        Naming the file and, where there is one, the row.

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
    elif _has_placeholder(rows):
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
        from_row(path, name, rows[name], replacements) for name in sorted(rows)
    ]
