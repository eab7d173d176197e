"""Show how the emotion of a recording, or of what is heard, changes over time.

examples:
  e2v timeline meeting.wav -o results/meeting --model results/my_classifier
  e2v timeline meeting.wav -o meeting.srt --window 2 --hop 0.5
  arecord -f S16_LE -r 16000 -t raw | e2v timeline - --hop 0.5
  ffmpeg -i rtsp://camera -f wav - | e2v timeline - > moments.jsonl
"""

import argparse
import json
import math
import sys
from fractions import Fraction
from pathlib import Path

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import mono_blocks
from speechbrain_e2v.corpora.audio_info import audio_info
from speechbrain_e2v.files.foreign_text import printable
from speechbrain_e2v.inference.pcm import ENCODINGS, PcmFormat, PcmReader
from speechbrain_e2v.inference.streaming import (
    SILENCE_DB,
    Cell,
    StreamingClassifier,
)
from speechbrain_e2v.inference.timeline import emotion_timeline
from speechbrain_e2v.inference.timeline_files import KINDS, write_timeline
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.tools.classify import add_model_arguments, load_model

STREAM = "-"
_AT_ONCE = 2**14  # samples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v timeline`."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="of any length and rate; -: samples from standard input, a JSON "
        "line a hop as soon as it is decided",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help=f"a file ({', '.join(KINDS)}), or a folder for all of them",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--window",
        type=seconds,
        default=3.0,
        help="seconds that are classified at once; 3, 1/2 (default: 3)",
    )
    parser.add_argument(
        "--hop",
        type=seconds,
        default=1.0,
        help="seconds between windows; 0.5, 1/30 (default: 1)",
    )
    parser.add_argument(
        "--silence_db",
        type=level,
        default=SILENCE_DB,
        metavar="DB",
        help="quieter than this, below full scale, is silence, and so is "
        "noise; none: nothing is (default: %(default)g)",
    )
    parser.add_argument(
        "--batch_windows",
        type=int,
        default=16,
        help="windows of a file computed together (default: %(default)s)",
    )
    raw = parser.add_argument_group("samples from standard input, without -o")
    raw.add_argument(
        "--rate",
        type=int,
        default=SAMPLE_RATE,
        help="Hz, where there is no WAV header (default: %(default)s)",
    )
    raw.add_argument(
        "--channels", type=int, default=1, help="there (default: 1)"
    )
    raw.add_argument(
        "--encoding",
        choices=ENCODINGS,
        default="s16le",
        help="there (default: %(default)s)",
    )


def seconds(text: str) -> float:
    """Read seconds, also as a fraction.

    >>> seconds("0.5"), seconds("1/2")
    (0.5, 0.5)
    """
    return float(Fraction(text))


def level(text: str) -> float | None:
    """Read decibels, or none.

    >>> level("-60"), level("none"), level("-inf")
    (-60.0, None, None)
    """
    value = -math.inf if text == "none" else float(text)
    return None if value == -math.inf else value


def run(arguments: argparse.Namespace) -> int:
    """Recognise; write the files and print the segments, or print cells."""
    if arguments.file == STREAM:
        if arguments.output is not None:
            raise ValueError(
                "a stream has no files: leave out --output and redirect what "
                "is printed."
            )
        return _stream(arguments)
    if arguments.output is None:
        raise ValueError("--output is missing: say where to write.")
    paths = _outputs(arguments.output, Path(arguments.file).stem)
    length = audio_info(arguments.file).duration
    classifier = load_model(arguments)
    with progress_bar(
        total=round(length, 1), unit="s", desc="timeline", delay=2
    ) as bar:
        timeline = emotion_timeline(
            classifier,
            arguments.file,
            progress=bar.update,
            batch_windows=arguments.batch_windows,
            channel=arguments.channel,
            **_options(arguments),
        )
    for path in paths:
        write_timeline(timeline, path)
    for s in timeline.segments:
        confidence = "" if s.silent else f"  {s.confidence:.3f}"
        print(f"{s.start:9.2f} {s.end:9.2f}  {printable(s.label)}{confidence}")
    for path in paths:
        print(printable(str(path)))
    return 0


def _outputs(output: Path, stem: str) -> list[Path]:
    if output.suffix in KINDS:
        return [output]
    if output.suffix and not output.is_dir():
        raise ValueError(
            f"{output}: there is no such format; use {', '.join(KINDS)}, or a "
            "folder for all of them."
        )
    return [output / f"{stem}{suffix}" for suffix in KINDS]


def _options(arguments: argparse.Namespace) -> dict:
    return {
        "window": arguments.window,
        "hop": arguments.hop,
        "silence_db": arguments.silence_db,
        "labels": arguments.labels,
        "merge": dict(arguments.merge or ()),
    }


def _stream(arguments: argparse.Namespace) -> int:
    raw = PcmFormat(arguments.rate, arguments.channels, arguments.encoding)
    classifier = load_model(arguments)
    reader = PcmReader(sys.stdin.buffer, raw)
    stream = StreamingClassifier(
        classifier, sample_rate=reader.samplerate, **_options(arguments)
    )
    for block in mono_blocks(
        reader, STREAM, channel=arguments.channel, block=_AT_ONCE
    ):
        _print_cells(stream.feed(block))
    _print_cells(stream.finish())
    return 0


def _print_cells(cells: list[Cell]) -> None:
    for cell in cells:
        # Read by the next program at once, not when a buffer is full.
        print(json.dumps(cell.row(), ensure_ascii=False), flush=True)
