"""Label speech with a classifier, and audit the labels.

MODEL is a classifier folder of `e2v export`, an emotion2vec+ folder or a hub
id; with --second two must agree. Labels are the nine of emotion2vec+. The
folder gets a manifest of what is believed, every judgement with its reason, an
audit, and the table that the next model trains on.

With --rounds a yaml chains training and labelling (recipes/Custom/rounds.yaml).

examples:
  e2v pseudolabel results/seed --pool calls.json --test labelled.json
      --threshold 0.8 --quota 500 --output results/round1
  e2v pseudolabel --rounds recipes/Custom/rounds.yaml
"""

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from speechbrain_e2v.corpora.common_labels import read_common_labels
from speechbrain_e2v.downstream.pseudo_labels.audit import audit_lines
from speechbrain_e2v.downstream.pseudo_labels.pieces import PieceLengths
from speechbrain_e2v.downstream.pseudo_labels.round import (
    RoundSettings,
    read_parts,
    read_sentiment,
    run_round,
)
from speechbrain_e2v.downstream.pseudo_labels.rounds import (
    read_rounds,
    run_rounds,
)
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.report.formats import single_line
from speechbrain_e2v.tools.classify import (
    add_batch_argument,
    add_source_arguments,
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v pseudolabel`."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a teacher")
    parser.add_argument(
        "--rounds", type=Path, metavar="YAML", help="a chain of rounds instead"
    )
    parser.add_argument(
        "--second", metavar="MODEL", help="another one that must agree"
    )
    parser.add_argument(
        "--pool",
        type=Path,
        nargs="+",
        default=[],
        metavar="JSON",
        help="manifests without labels",
    )
    parser.add_argument(
        "--test", type=Path, metavar="JSON", help="labelled manifest to audit"
    )
    parser.add_argument(
        "--valid",
        type=Path,
        metavar="JSON",
        help="labelled manifest to calibrate thresholds on",
    )
    parser.add_argument(
        "--train",
        type=Path,
        metavar="JSON",
        help="labelled manifest that the next model trains on, too",
    )
    parser.add_argument("--output", type=Path, metavar="DIR")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--threshold", type=float, metavar="P", help="least confidence"
    )
    chosen.add_argument(
        "--precision",
        type=float,
        metavar="P",
        help="least precision of each class on --valid",
    )
    parser.add_argument(
        "--least",
        type=int,
        default=10,
        metavar="N",
        help="utterances that a precision is measured on (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--quota", type=int, metavar="N", help="most to keep of a class"
    )
    parser.add_argument(
        "--sentiment",
        type=Path,
        metavar="CSV",
        help="id and sentiment (negative, neutral, positive) of the text",
    )
    parser.add_argument(
        "--as_listed",
        action="store_true",
        help="label the rows as they are; do not look for speech",
    )
    lengths = PieceLengths()
    for name in ("shortest", "longest", "pause"):
        parser.add_argument(
            f"--{name}",
            type=float,
            default=getattr(lengths, name),
            metavar="S",
            help="seconds, of pieces of speech (default: %(default)s)",
        )
    parser.add_argument(
        "--label_map", type=Path, metavar="FILE", help="a table of labels"
    )
    add_batch_argument(parser)
    add_source_arguments(parser)


def run(arguments: Namespace) -> int:
    """Run a round, or all of a yaml, and say what became of it."""
    if arguments.rounds is not None:
        return _rounds(arguments)
    settings = _checked(arguments)
    labels = read_common_labels(arguments.label_map)
    parts = read_parts(
        labels,
        arguments.pool,
        arguments.train,
        arguments.valid,
        arguments.test,
    )
    sentiment = arguments.sentiment and read_sentiment(arguments.sentiment)
    names = [arguments.model, *filter(None, [arguments.second])]
    teachers = {
        name: EmotionClassifier.from_pretrained(
            name, arguments.device, arguments.offline
        ).trained
        for name in names
    }
    with sole_writer(arguments.output):
        about = run_round(
            arguments.output,
            teachers,
            parts,
            labels,
            settings,
            sentiment,
            arguments.batch_seconds,
            not arguments.quiet,
        )
    print(f"{about['kept']} of {about['pieces']} pieces kept")
    for reason, count in about["reasons"].items():
        print(f"  {reason}: {count}")
    found = read_json(arguments.output / "audit.json", dict)
    print("\n".join(map(single_line, [*audit_lines(found), *about["marks"]])))
    print(f"next: {next_command(arguments.output)}")
    return 0


def next_command(folder: Path) -> str:
    """What fine-tunes the next model on a round's table."""
    return shlex.join(
        [
            *("python", "recipes/Custom/train.py"),
            "recipes/Custom/hparams/finetune.yaml",
            *("--data_folder", str(folder), "--protocol", "official"),
            *("--n_folds", "1", "--encoder", "ENCODER"),
            *("--output_folder", str(folder / "next")),
        ]
    )


def _rounds(arguments: Namespace) -> int:
    if arguments.model is not None or arguments.pool:
        raise ValueError("--rounds has its models and manifests in the yaml")
    chain = read_rounds(arguments.rounds)
    with sole_writer(chain.output):
        entries = run_rounds(chain, not arguments.quiet)
    for entry in entries:
        kept = ""
        if "kept" in entry:
            precision = entry["audit"]["precision"]
            shown = "-" if precision is None else f"{precision:.1f} %"
            kept = f"; {entry['kept']} pieces kept, precision {shown}"
        print(
            f"{entry['name']}: WA {entry['wa']:.2f}, UA {entry['ua']:.2f}{kept}"
        )
    return 0


def _checked(arguments: Namespace) -> RoundSettings:
    """Refuse options that do not go together, before any work."""
    needed = ("model", "pool", "test", "output")
    missing = [name for name in needed if not getattr(arguments, name)]
    if missing:
        raise ValueError(
            f"a round needs MODEL, --pool, --test and --output; there is no "
            f"{', no '.join(missing)}"
        )
    if arguments.precision is not None and arguments.valid is None:
        raise ValueError("--precision is measured on --valid; give it")
    same = arguments.valid and arguments.valid.resolve()
    if same and same == arguments.test.resolve():
        raise ValueError(
            f"--valid and --test are both {arguments.test}; what chose the "
            "thresholds cannot audit them"
        )
    if arguments.second == arguments.model:
        raise ValueError("--second is MODEL again; it always agrees")
    if arguments.batch_seconds <= 0:
        raise ValueError(
            f"batch_seconds is {arguments.batch_seconds}; give seconds above 0"
        )
    pieces = None
    if not arguments.as_listed:
        pieces = PieceLengths(
            arguments.shortest, arguments.longest, arguments.pause
        )
    return RoundSettings(
        arguments.threshold,
        arguments.precision,
        arguments.least,
        arguments.quota,
        pieces,
    )
