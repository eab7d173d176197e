"""From an unpacked corpus to a manifest: the driver behind every recipe's
``<corpus>_prepare.py``.

The recipe knows names and labels (:class:`Corpus`); this module probes the
audio once, counts what it leaves out and why, and compares the counts.
"""

import argparse
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from speechbrain_e2v.corpora.archives import download_corpus
from speechbrain_e2v.corpora.corpus import (
    Corpus,
    Difference,
    compare,
    count,
    difference_table,
)
from speechbrain_e2v.corpora.manifest import read_meta, write_manifest
from speechbrain_e2v.corpora.manifest_cache import (
    input_digest,
    label_digests,
    other_label_files,
    reusable_meta,
)
from speechbrain_e2v.corpora.selection import Skipped, select_utterances
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import read_json

__all__ = [
    "Corpus",
    "completeness_caveats",
    "prepare",
    "prepare_main",
    "prepare_manifest",
]

_logger = logging.getLogger(__name__)


class _Report(msgspec.Struct):
    differs_from_paper_table1: list[tuple[str, Any, Any]] = []


def prepare(
    corpus: Corpus,
    data_folder: str | Path,
    output_folder: str | Path,
    strict_counts: bool = True,
    min_duration: float | None = None,
    progress: bool = True,
) -> Path:
    """Write ``all.json`` and ``prepare_report.json`` of a corpus.

    Utterances of the official training part that are shorter than
    ``min_duration`` seconds are left out; test utterances never are. An
    existing manifest is kept when the corpus, its files and the options are
    the same and nobody has edited it.

    Raises ValueError for an unknown file name or label, duplicate ids, or wrong
    counts.

    >>> import soundfile
    >>> from speechbrain_e2v.corpora.folders import scan_folder
    >>> tmp = getfixture("tmp_path")
    >>> soundfile.write(tmp / "a.wav", [0.0] * 800, 8000)
    >>> corpus = Corpus("Toy", "en", (), {}, parse=scan_folder)
    >>> prepare(corpus, tmp, tmp / "out", progress=False).name
    'all.json'
    """
    folder = Path(output_folder)
    return prepare_manifest(
        corpus,
        data_folder,
        folder / "all.json",
        folder / "prepare_report.json",
        strict_counts,
        min_duration,
        progress,
    )


def prepare_manifest(
    corpus: Corpus,
    data_folder: str | Path,
    manifest: str | Path,
    report: str | Path,
    strict_counts: bool = True,
    min_duration: float | None = None,
    progress: bool = True,
) -> Path:
    """As :func:`prepare`, with the paths of both files given."""
    data_folder, manifest = Path(data_folder), Path(manifest)
    if not data_folder.is_dir():
        raise ValueError(
            f"{corpus.name}: {data_folder} is not a folder; give the unpacked "
            "corpus"
        )
    data_root = Path(os.path.abspath(data_folder)).as_posix()
    corpus = corpus.bound_to(data_folder)
    rows = sorted(corpus.parse(data_folder), key=lambda u: u.id)
    sources = label_digests(corpus, data_folder)
    digest = input_digest(corpus, data_root, rows, sources, min_duration)
    found = reusable_meta(manifest, data_root, digest)
    if found is not None and Path(report).is_file():
        _judge(corpus, data_root, found.differences, report, strict_counts)
        _logger.info("%s: %s is up to date", corpus.name, manifest)
        return manifest
    kept, skipped, there = select_utterances(
        corpus, data_root, rows, min_duration, progress
    )
    differences = compare(corpus.expected, count(there))
    _write_report(corpus, report, kept, skipped, differences, sources)
    _judge(corpus, data_root, differences, report, strict_counts)
    if not kept:
        raise ValueError(
            f"{corpus.name}: none of the {len(rows)} utterances under "
            f"{data_root} can be used; {report} says why"
        )
    meta = {
        "dataset": corpus.name,
        "options": {"min_duration": min_duration},
        "skipped": {reason: len(ids) for reason, ids in skipped.items()},
        "sources": sources,
        "input_sha256": digest,
        "differences": differences,
    }
    return write_manifest(manifest, kept, data_root, meta)


def completeness_caveats(manifest: str | Path) -> list[str]:
    """Say when a manifest is not of the complete corpus."""
    meta = read_meta(manifest)
    caveats = []
    for what, expected, found in meta.differences:
        if what == "utts":
            caveats = [
                f"{found} of {expected} utterances: not the whole corpus"
            ]
    if meta.differences and not caveats:
        caveats = ["not the corpus as published"]
    excluded = meta.skipped.get("excluded", 0)
    if excluded:
        caveats.append(f"{excluded} utterances are left out by choice")
    return caveats


def _write_report(
    corpus: Corpus,
    report: str | Path,
    kept: Sequence[Utterance],
    skipped: Skipped,
    differences: Sequence[Difference],
    sources: Mapping[str, str],
) -> None:
    found = count(kept)
    other = other_label_files(corpus, sources)
    for name in other:
        _logger.warning(
            "%s: %s is another edition than the one the counts are from",
            corpus.name,
            name,
        )
    content = {
        "dataset": corpus.name,
        "found": found,
        "differs_from_expected": differences,
        "differs_from_paper_table1": compare(corpus.paper_table1, found),
        "other_label_files": other,
        "unlabelled": sum(u.emo is None for u in kept),
        "skipped": {
            reason: {"count": len(ids), "utterances": ids}
            for reason, ids in skipped.items()
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    replace_text(report, text + "\n")


def _judge(
    corpus: Corpus,
    data_root: str,
    differences: Sequence[Difference],
    report: str | Path,
    strict_counts: bool,
) -> None:
    if not differences:
        return
    message = (
        f"{corpus.name}: {data_root} is not the complete corpus\n"
        f"{difference_table(differences)}\n"
        f"{report} lists what was left out and why"
    )
    if strict_counts:
        raise ValueError(
            f"{message}. Complete it, or allow a partial corpus "
            "(--allow_partial, strict_counts: False)"
        )
    _logger.warning(message)


def prepare_main(
    corpus: Corpus, arguments: Sequence[str] | None = None
) -> None:
    """The command line of a recipe's prepare script."""
    parser = argparse.ArgumentParser(
        description=f"Write the manifest of {corpus.name}."
    )
    parser.add_argument("--data_folder", required=True, help="unpacked corpus")
    parser.add_argument("--manifest", required=True, help="the .json to write")
    parser.add_argument(
        "--allow_partial",
        action="store_true",
        help="print differences from the expected counts, do not fail",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="first fetch the corpus from its origin into --data_folder",
    )
    parser.add_argument(
        "--exclude", help="file with an id or path a line, to leave out"
    )
    if corpus.listed_by is not None:
        parser.add_argument(
            "--labels", help="the table (default: the one in --data_folder)"
        )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    manifest = Path(options.manifest)
    report = manifest.with_suffix(".prepare_report.json")
    try:
        if options.download:
            download_corpus(corpus, options.data_folder)
        prepare_manifest(
            corpus.as_asked(getattr(options, "labels", None), options.exclude),
            options.data_folder,
            manifest,
            report,
            strict_counts=not options.allow_partial,
        )
    except (ValueError, OSError) as error:
        parser.exit(1, f"error: {error}\n")
    meta = read_meta(manifest)
    print(
        f"{corpus.name}: {meta.n_rows} utterances, {meta.hours:.2f} h, "
        f"{meta.speakers} speakers, left out {meta.skipped or 'none'}"
    )
    paper = read_json(report, _Report).differs_from_paper_table1
    if paper:
        print("Table 1 of the paper says otherwise about:")
        print(difference_table(paper))
    print(f"{manifest} and {report}")
