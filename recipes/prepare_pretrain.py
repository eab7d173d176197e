#!/usr/bin/env python3
"""Manifests of the paper's pre-training speech: IEMOCAP, MELD, CMU-MOSEI,
MEAD and MSP-Podcast, 169,053 utterances and 262.0 hours in its Table 1.

One manifest a corpus, the corpus in front of every id, and a report which
explains what differs from the table. The paper pre-trains on the audio of
what it tests on; ``--exclude meld.test mosei.test iemocap.Ses05`` leaves such
material out (an official part, or a session).

> python prepare_pretrain.py --output_folder OUT --iemocap DIR --meld DIR \
      --mosei DIR --mead DIR --msp DIR
"""

import argparse
import json
import logging
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechbrain_e2v.corpora.manifest import read_manifest, write_manifest
from speechbrain_e2v.corpora.prepare import Corpus, prepare
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES

PAPER_TOTAL = {"utts": 169_053, "hours": 262.0}
UNEXPLAINED = 73  # MSP-Podcast utterances


@dataclass(frozen=True)
class Part:
    """A corpus of the mixture, and why its counts are not the table's."""

    folder: str
    attribute: str
    paper_hours: float
    paper_utts: int
    why: str

    def corpus(self) -> Corpus:
        """The ``Corpus`` of the recipe's prepare script."""
        name = f"{self.folder.lower().replace('-', '_')}_prepare"
        path = Path(__file__).parent / self.folder / f"{name}.py"
        return runpy.run_path(str(path))[self.attribute]


PARTS = {
    "iemocap": Part(
        "IEMOCAP", "CORPUS", 7.0, 5531,
        "the four classes with excitement as happiness, all five sessions",
    ),
    "meld": Part(
        "MELD", "PRETRAINING", 12.2, 13_847,
        "every clip that can be decoded: 13,706 with a label and 141 "
        "without, the test part among them",
    ),
    "mosei": Part(
        "CMU-MOSEI", "PRETRAINING", 91.9, 44_977,
        "every transcribed segment; inferred, because the labelled ones are "
        "23,259 and 49.1 h",
    ),
    "mead": Part(
        "MEAD", "CORPUS", 37.3, 31_792,
        "the corpus has 31,729; the table swaps two digits, and its own "
        "total is only right with 31,729",
    ),
    "msp": Part(
        "MSP-Podcast", "CORPUS", 113.5, 72_969,
        "release 1.8 has 73,042; why the paper has 73 fewer is not known",
    ),
}  # fmt: skip


def prepare_mixture(
    folders: Mapping[str, Path],
    output_folder: Path,
    exclude: Sequence[str] = (),
    strict_counts: bool = True,
) -> dict[str, Any]:
    """Write ``<key>.json`` of every corpus; ``pretrain_report.json`` as well.

    ``folders`` are the unpacked corpora by key of ``PARTS``, ``exclude`` holds
    ``<key>.<part or session>``."""
    excluded = _excluded(exclude, folders)
    missing = sorted(set(PARTS) - set(folders))
    if missing and strict_counts:
        raise ValueError(
            f"no folder of {', '.join(missing)}; give "
            f"--{' DIR --'.join(missing)} DIR, or --allow_partial"
        )
    rows = {}
    for key in PARTS:
        if key in folders:
            rows[key] = _prepare_part(
                key, folders[key], output_folder, excluded[key], strict_counts
            )
    utts = sum(row["listed"]["utts"] for row in rows.values())
    report = {
        "corpora": rows,
        "missing": missing,
        "found": {
            "utts": utts,
            "hours": sum(r["listed"]["hours"] for r in rows.values()),
        },
        "paper": PAPER_TOTAL,
        "kept": sum(row["kept"]["utts"] for row in rows.values()),
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    replace_text(output_folder / "pretrain_report.json", text + "\n")
    off = abs(utts - PAPER_TOTAL["utts"])
    if strict_counts and off > UNEXPLAINED:
        raise ValueError(
            f"{utts} utterances; the paper has {PAPER_TOTAL['utts']}, of "
            f"which {UNEXPLAINED} are not explained; see "
            f"{output_folder / 'pretrain_report.json'}, or --allow_partial"
        )
    return report


def _excluded(
    tokens: Sequence[str], folders: Mapping[str, Path]
) -> dict[str, set[str]]:
    excluded: dict[str, set[str]] = {key: set() for key in PARTS}
    for token in tokens:
        key, _, part = token.partition(".")
        if key not in folders or not part:
            raise ValueError(
                f"--exclude {token}: use <corpus>.<part or session>, the "
                f"corpus one of those given ({', '.join(folders)})"
            )
        excluded[key].add(part)
    return excluded


def _prepare_part(
    key: str,
    data_folder: Path,
    output_folder: Path,
    excluded: set[str],
    strict_counts: bool,
) -> dict[str, Any]:
    corpus = PARTS[key].corpus()
    complete = prepare(
        corpus, data_folder, output_folder / "complete" / key, strict_counts
    )
    listed = read_manifest(complete)
    present = {u.split for u in listed} | {u.session for u in listed}
    unknown = sorted(excluded - present)
    if unknown:
        raise ValueError(
            f"--exclude {key}.{unknown[0]}: {corpus.name} has "
            f"{sorted(part for part in present if part)}"
        )
    long = [u for u in listed if u.samples_at_16k >= MIN_SAMPLES]
    kept = [
        replace(u, id=f"{corpus.name}__{u.id}")
        for u in long
        if not {u.split, u.session} & excluded
    ]
    if not kept:
        raise ValueError(f"{corpus.name}: nothing is left; exclude less")
    skipped = {
        "too_short": len(listed) - len(long),
        "excluded": len(long) - len(kept),
    }
    write_manifest(
        output_folder / f"{key}.json",
        kept,
        data_folder,
        {"dataset": corpus.name, "excluded": sorted(excluded),
         "skipped": skipped},
    )  # fmt: skip
    part = PARTS[key]
    return {
        "corpus": corpus.name,
        "listed": _size(listed),
        "kept": _size(kept),
        "paper": {"utts": part.paper_utts, "hours": part.paper_hours},
        "difference": len(listed) - part.paper_utts,
        "why": part.why,
        **skipped,
    }


def _size(utterances: Sequence[Utterance]) -> dict[str, Any]:
    hours = sum(u.duration for u in utterances) / 3600
    return {"utts": len(utterances), "hours": round(hours, 3)}


def table(report: Mapping[str, Any]) -> str:
    """The report as text."""
    lines = [f"{'corpus':<12}{'found':>9}{'hours':>8}{'paper':>9}"
             f"{'hours':>8}{'kept':>9}  why"]  # fmt: skip
    for row in report["corpora"].values():
        found, paper = row["listed"], row["paper"]
        lines.append(
            f"{row['corpus']:<12}{found['utts']:>9}{found['hours']:>8.1f}"
            f"{paper['utts']:>9}{paper['hours']:>8.1f}"
            f"{row['kept']['utts']:>9}  {row['why']}"
        )
    found, paper = report["found"], report["paper"]
    lines.append(
        f"{'together':<12}{found['utts']:>9}{found['hours']:>8.1f}"
        f"{paper['utts']:>9}{paper['hours']:>8.1f}{report['kept']:>9}  "
        "the five rows of the paper add up to 169,116, not to its total"
    )
    if report["missing"]:
        lines.append(f"not given: {', '.join(report['missing'])}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Write the manifests of the pre-training speech."
    )
    parser.add_argument("--output_folder", required=True, type=Path)
    for key, part in PARTS.items():
        parser.add_argument(f"--{key}", type=Path, help=part.folder)
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--allow_partial", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folders = {
        key: getattr(options, key) for key in PARTS if getattr(options, key)
    }
    try:
        report = prepare_mixture(
            folders,
            options.output_folder,
            options.exclude,
            not options.allow_partial,
        )
    except ValueError as error:
        parser.exit(1, f"error: {error}\n")
    print(table(report))
    manifests = [str(options.output_folder / f"{key}.json") for key in folders]
    print(f"--manifests '[{', '.join(manifests)}]'")


if __name__ == "__main__":
    main()
