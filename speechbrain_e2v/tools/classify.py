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

from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.classifier import EmotionClassifier, Prediction

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
    parser.add_argument(
        "--batch_seconds",
        type=float,
        default=60.0,
        help="audio computed together (default: %(default)s)",
    )
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
    clips = list_clips(arguments.files)
    classifier = load_model(arguments)
    found: list[Prediction | ValueError | None] = [None] * len(clips)
    for index, outcome in classifier.outcomes(
        clips,
        arguments.labels,
        dict(arguments.merge or ()),
        arguments.reject,
        batch_seconds=arguments.batch_seconds,
    ):
        found[index] = outcome
    good = [item for item in found if isinstance(item, Prediction)]
    bad = [item for item in found if isinstance(item, ValueError)]
    if arguments.json:
        _print_json(good)
    elif arguments.csv:
        _print_csv(good)
    elif good:
        print("\n".join(table(good)))
    for error in bad:
        print(f"e2v: {error}", file=sys.stderr)
    return 1 if bad else 0


def table(predictions: Sequence[Prediction]) -> list[str]:
    """Lines of a table of at least one prediction."""
    classes = list(predictions[0].scores)
    width = max(len("file"), *(len(p.source) for p in predictions))
    name = max(len("label"), *(len(c) for c in classes))
    head = f"{'file':<{width}}  {'label':<{name}}  score"
    lines = [head + "".join(f"  {c:>5}" for c in classes)]
    for p in predictions:
        scores = "".join(
            f"  {p.scores[c]:>{max(5, len(c))}.3f}" for c in classes
        )
        lines.append(
            f"{p.source:<{width}}  {p.label or REJECTED:<{name}}  "
            f"{p.score:.3f}{scores}"
        )
    return lines


def _print_json(predictions: Sequence[Prediction]) -> None:
    for p in predictions:
        row = {
            "file": p.source,
            "label": p.label,
            "published": p.published,
            "score": p.score,
            "seconds": p.seconds,
            "scores": p.scores,
        }
        print(json.dumps(row, ensure_ascii=False))


def _print_csv(predictions: Sequence[Prediction]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    classes = list(predictions[0].scores) if predictions else []
    writer.writerow(["file", "label", "score", "seconds", *classes])
    for p in predictions:
        scores = [f"{p.scores[c]:.6f}" for c in classes]
        row = [p.source, p.label or "", f"{p.score:.6f}", f"{p.seconds:.3f}"]
        writer.writerow(row + scores)


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
