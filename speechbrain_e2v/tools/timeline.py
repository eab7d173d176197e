"""Show how the emotion of a recording changes over time.

examples:
  e2v timeline meeting.wav -o results/meeting --model results/my_classifier
  e2v timeline meeting.wav -o meeting.srt --window 2 --hop 0.5
"""

import argparse
from pathlib import Path

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio_info import audio_info
from speechbrain_e2v.inference.timeline import emotion_timeline
from speechbrain_e2v.inference.timeline_files import KINDS, write_timeline
from speechbrain_e2v.tools.classify import add_model_arguments, load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v timeline`."""
    parser.add_argument("file", metavar="FILE", help="of any length and rate")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help=f"a file ({', '.join(KINDS)}), or a folder for all of them",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--window",
        type=float,
        default=3.0,
        help="seconds that are classified at once (default: %(default)s)",
    )
    parser.add_argument(
        "--hop",
        type=float,
        default=1.0,
        help="seconds between windows (default: %(default)s)",
    )
    parser.add_argument(
        "--silence_db",
        type=float,
        default=-50.0,
        metavar="DB",
        help="quieter than this, below full scale, is silence; -inf: nothing "
        "is (default: %(default)s)",
    )
    parser.add_argument(
        "--batch_windows",
        type=int,
        default=16,
        help="windows computed together (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Recognise, write the files and print the segments."""
    output = arguments.output
    if output.suffix in KINDS:
        paths = [output]
    elif output.suffix and not output.is_dir():
        raise ValueError(
            f"{output}: there is no such format; use {', '.join(KINDS)}, or a "
            "folder for all of them."
        )
    else:
        stem = Path(arguments.file).stem
        paths = [output / f"{stem}{suffix}" for suffix in KINDS]
    seconds = audio_info(arguments.file).duration
    classifier = load_model(arguments)
    with progress_bar(
        total=round(seconds, 1), unit="s", desc="timeline", delay=2
    ) as bar:
        timeline = emotion_timeline(
            classifier,
            arguments.file,
            arguments.window,
            arguments.hop,
            arguments.silence_db,
            arguments.labels,
            dict(arguments.merge or ()),
            arguments.batch_windows,
            bar.update,
        )
    for path in paths:
        write_timeline(timeline, path)
    for s in timeline.segments:
        confidence = "" if s.silent else f"  {s.confidence:.3f}"
        print(f"{s.start:9.2f} {s.end:9.2f}  {s.label}{confidence}")
    print(*paths, sep="\n")
    return 0
