"""List the audio files of a folder for pre-training.

example:
  e2v manifest /data/speech -o speech.json --exclude 'EmoDB/*'
"""

import argparse
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from speechbrain_e2v.corpora.audio_info import measure_utterances
from speechbrain_e2v.corpora.folders import scan_folder
from speechbrain_e2v.corpora.manifest import write_manifest
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.walk import find_audio, path_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v manifest`."""
    parser.add_argument("folder", type=Path, help="searched at any depth")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="manifest, .json"
    )
    parser.add_argument(
        "--pattern", help="file names (default: all that is named like audio)"
    )
    parser.add_argument(
        "--exclude",
        nargs="*",
        default=[],
        metavar="PATTERN",
        help="relative paths to leave out",
    )
    parser.add_argument(
        "--name", help="corpus name (default: the first folder of each path)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read every header and write the manifest; name what is unreadable."""
    listed = scan_folder(arguments.folder, arguments.pattern, arguments.exclude)
    kept, bad = [], []
    for outcome in measure_utterances(listed, arguments.folder):
        if isinstance(outcome, Exception):
            bad.append(outcome)
            continue
        kept.append(_named(outcome, arguments))
    if not kept:
        raise ValueError(
            f"{arguments.folder}: none of {len(listed)} files is readable; "
            f"the first: {bad[0]}"
        )
    unmatched = _unmatched(arguments)
    write_manifest(arguments.output, kept, arguments.folder.resolve())
    hours = sum(utterance.duration for utterance in kept) / 3600
    print(f"{arguments.output}: {len(kept)} files, {hours:.2f} h")
    if unmatched:
        print(
            f"left out: {len(unmatched)} audio files that are not named "
            f"{arguments.pattern}, such as {path_text(unmatched[0])}"
        )
    for problem in bad:
        print(f"left out: {problem}")
    return 1 if bad else 0


def _unmatched(arguments: argparse.Namespace) -> list[str]:
    if arguments.pattern is None:
        return []
    pattern = arguments.pattern.lower()
    return [
        path
        for path in find_audio(arguments.folder)
        if not fnmatch(path.rsplit("/", 1)[-1].lower(), pattern)
    ]


def _named(utterance: Utterance, arguments: argparse.Namespace) -> Utterance:
    parts = Path(utterance.wav).parts
    first = parts[0] if len(parts) > 1 else arguments.folder.name
    return replace(utterance, dataset=arguments.name or first)
