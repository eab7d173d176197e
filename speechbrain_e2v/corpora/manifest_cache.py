"""Whether a manifest that exists already is still right."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.manifest import (
    SPEC_VERSION,
    ManifestMeta,
    manifest_digest,
    meta_path,
    read_meta,
)
from speechbrain_e2v.corpora.manifest_rows import (
    ManifestError,
    rows_digest,
    to_rows,
)
from speechbrain_e2v.corpora.utterance import Utterance

_HEAD = 64  # bytes; a WAV file has its rate and channels in the first 44


def label_digests(corpus: Corpus, data_folder: Path) -> dict[str, str]:
    """SHA-256 of every label file of a corpus, by relative path.

    Raises ValueError when a pattern of ``corpus.label_files`` finds nothing.
    """
    digests = {}
    for pattern in corpus.label_files:
        if os.path.isabs(pattern):  # a table that lies elsewhere
            found = [Path(pattern)]
        else:
            found = [p for p in data_folder.glob(pattern) if p.is_file()]
        if not found:
            raise ValueError(
                f"{corpus.name}: no label file {data_folder / pattern}; give "
                "the unpacked corpus with its label files"
            )
        for path in found:
            name = (
                path.relative_to(data_folder).as_posix()
                if path.is_relative_to(data_folder)
                else path.name
            )
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(digests.items()))


def other_label_files(corpus: Corpus, sources: Mapping[str, str]) -> list[str]:
    """Label files that are not the ones the corpus's counts were taken from.

    >>> corpus = Corpus("Toy", "", (), {}, label_sha256={"a.csv": "12"})
    >>> other_label_files(corpus, {"x/a.csv": "34", "x/b.csv": "56"})
    ['x/a.csv']
    """
    known = corpus.label_sha256
    return [
        path
        for path, digest in sources.items()
        if known.get(path.rsplit("/", 1)[-1], digest) != digest
    ]


def input_digest(
    corpus: Corpus,
    data_root: str,
    rows: Sequence[Utterance],
    sources: Mapping[str, str],
    min_duration: float | None,
) -> str:
    """Digest that changes with a name, a label, a file or an option.

    Of a file its size and first bytes count: a header says how long it is.
    """
    files = {u.wav: _size_and_head(Path(data_root, u.wav)) for u in rows}
    facts = {
        "rows": rows_digest(to_rows(rows, data_root)),  # refuses equal ids
        "files": files,
        "sources": sources,
        "min_duration": min_duration,
        "spec_version": SPEC_VERSION,
        "corpus": [
            corpus.name,
            corpus.lang,
            list(corpus.classes),
            dict(corpus.label_map),
            dict(corpus.known_bad),
            dict(corpus.expected),
            dict(corpus.paper_table1),
            corpus.keep_others,
            corpus.strict_pieces,
            sorted(corpus.excluded),
        ],
    }
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _size_and_head(path: Path) -> tuple[int, str]:
    if not path.is_file():
        return -1, ""
    with open(path, "rb") as file:
        return path.stat().st_size, file.read(_HEAD).hex()


def reusable_meta(
    manifest: Path, data_root: str, digest: str
) -> ManifestMeta | None:
    """The meta entries of an existing manifest, if it may be kept.

    None when there is none, when anything it was made from has changed, or
    when it was edited or damaged.
    """
    if not (manifest.is_file() and meta_path(manifest).is_file()):
        return None
    try:
        meta = read_meta(manifest)
        same = (
            meta.data_root == data_root
            and meta.input_sha256 == digest
            and meta.content_sha256 == manifest_digest(manifest)
        )
    except ManifestError:
        return None
    return meta if same else None
