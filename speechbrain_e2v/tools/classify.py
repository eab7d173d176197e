"""Recognise the emotion of audio files.

examples:
  e2v classify a.wav recordings/ --model results/my_classifier
  e2v classify *.wav --labels happy,sad,neutral --reject 0.5 --csv
  e2v classify *.wav --merge happy=happy,excited --json
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence

from speechbrain_e2v.console import one_line, progress_bar
from speechbrain_e2v.files.foreign_text import csv_cell, printable
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.classifier import EmotionClassifier, Prediction
from speechbrain_e2v.inference.clips import Clip

DEFAULT_MODEL = "emotion2vec/emotion2vec_plus_base"
REJECTED = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v classify`."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILES",
        help="audio files, folders, lists (.txt) or manifests (.json)",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--reject",
        type=float,
        metavar="P",
        help="give no label below this probability",
    )
    add_batch_argument(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one object a line")
    form.add_argument("--csv", action="store_true")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which classifier is used and which classes it shows."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="SRC",
        help="classifier folder, emotion2vec+ folder or hub id "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--labels",
        type=_names,
        metavar="A,B,...",
        help="only these classes compete",
    )
    parser.add_argument(
        "--merge",
        type=_merge,
        action="append",
        metavar="NEW=A,B",
        help="add classes up; may be given several times",
    )
    parser.add_argument(
        "--channel",
        type=int,
        help="read this channel, the first is 0 (default: their mean)",
    )
    add_source_arguments(parser)


def add_batch_argument(parser: argparse.ArgumentParser) -> None:
    """Declare how much is computed together."""
    parser.add_argument(
        "--batch_seconds",
        type=float,
        default=60.0,
        help="audio computed together (default: %(default)s)",
    )


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare on what a model is computed, and whether it is downloaded."""
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU)")
    parser.add_argument(
        "--offline", action="store_true", help="hub models: cache only"
    )


def load_model(arguments: argparse.Namespace) -> EmotionClassifier:
    """Load the classifier that the arguments name."""
    return EmotionClassifier.from_pretrained(
        arguments.model, arguments.device, arguments.offline
    )


def run(arguments: argparse.Namespace) -> int:
    """Classify and print; 1 when a file, named at the end, was unusable."""
    clips = list_clips(arguments.files, arguments.channel)
    classifier = load_model(arguments)
    found: dict[int, Prediction | ValueError] = {}
    outcomes = classifier.outcomes(
        clips,
        arguments.labels,
        dict(arguments.merge or ()),
        arguments.reject,
        batch_seconds=arguments.batch_seconds,
    )
    for index, outcome in progress_bar(
        outcomes, total=len(clips), unit="utt", desc="classify", delay=2
    ):
        found[index] = outcome
    ordered = [found[index] for index in range(len(clips))]
    good = [item for item in ordered if isinstance(item, Prediction)]
    bad = [item for item in ordered if isinstance(item, ValueError)]
    if arguments.json:
        for clip, item in zip(clips, ordered, strict=True):
            print(json.dumps(_record(clip, item), ensure_ascii=False))
    elif arguments.csv:
        _print_csv(good)
    elif good:
        print("\n".join(table(good)))
    for error in bad:
        print(f"e2v: {one_line(error)}", file=sys.stderr)
    return 1 if bad else 0


def table(predictions: Sequence[Prediction]) -> list[str]:
    """Lines of a table of at least one prediction."""
    classes = list(predictions[0].scores)
    shown = [printable(name) for name in classes]
    files = [printable(p.source) for p in predictions]
    width = max(len("file"), *map(len, files))
    name = max(len("label"), *map(len, shown))
    head = f"{'file':<{width}}  {'label':<{name}}  score"
    lines = [head + "".join(f"  {c:>5}" for c in shown)]
    for file, p in zip(files, predictions, strict=True):
        scores = "".join(
            f"  {p.scores[c]:>{max(5, len(s))}.3f}"
            for c, s in zip(classes, shown, strict=True)
        )
        label = printable(p.label or REJECTED)
        lines.append(f"{file:<{width}}  {label:<{name}}  {p.score:.3f}{scores}")
    return lines


def _record(clip: Clip, outcome: Prediction | ValueError) -> dict:
    if isinstance(outcome, ValueError):
        return {"file": printable(clip.source), "error": one_line(outcome)}
    return {
        "file": printable(outcome.source),
        "label": outcome.label,
        "published": outcome.published,
        "score": outcome.score,
        "seconds": outcome.seconds,
        "scores": outcome.scores,
    }


def _print_csv(predictions: Sequence[Prediction]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    classes = list(predictions[0].scores) if predictions else []
    shown = [csv_cell(name) for name in classes]
    writer.writerow(["file", "label", "score", "seconds", *shown])
    for p in predictions:
        scores = [f"{p.scores[c]:.6f}" for c in classes]
        names = csv_cell(p.source), csv_cell(p.label or "")
        writer.writerow([*names, f"{p.score:.6f}", f"{p.seconds:.3f}", *scores])


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(text)
    return names


def _merge(text: str) -> tuple[str, list[str]]:
    new, _, members = text.partition("=")
    if not new or not members:
        raise ValueError(text)
    return new, _names(members)
