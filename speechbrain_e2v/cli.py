"""The `e2v` command: one subcommand a tool."""

import argparse
import contextlib
import importlib
import os
import sys

from speechbrain_e2v import __version__, console

TOOLS = {
    "extract": "write features of audio files",
    "doctor": "check the installation",
    "manifest": "list audio files for pre-training",
    "convert": "published checkpoints to encoder folders and back",
    "export": "write a classifier folder for SpeechBrain, or an ONNX file",
    "classify": "recognise the emotion of files",
    "evaluate": "score a classifier on a corpus",
    "crosscorpus": "train on some corpora, test on others",
    "pseudolabel": "label speech with a classifier, audited, in rounds",
    "timeline": "show emotion over time",
    "push": "publish a classifier folder",
    "audit": "look for leaks between training, validation and test",
    "reproduce": "run every recipe whose corpus is there, make the table",
    "table": "tables from results.json files",
}
"""Subcommand -> what it does; each is a module of speechbrain_e2v.tools with
`add_arguments(parser)` and `run(arguments)`."""


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand and return its exit status.

    0, 1 after an error that was told in one line, 130 after Ctrl-C and 143
    after SIGTERM.

    >>> main(["manifest", "no/such/folder", "-o", "x.json"])
    1
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        with console.command():
            arguments = _parse(argv)
            if arguments.quiet:
                console.be_quiet()
            status = arguments.run(arguments) or 0
            _flush_stdout()
            return status
    except console.Ended as ended:
        _say(ended.line)
        return ended.status
    except BrokenPipeError:  # `e2v ... | head` has what it wants
        with contextlib.suppress(BrokenPipeError):
            _flush_stdout()
        return 141
    except Exception as error:
        with contextlib.suppress(OSError):
            _flush_stdout()
        if "--debug" in argv:
            raise
        _say(_line(error))
        return 1


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="e2v",
        description="Tools for emotion2vec. `e2v TOOL --help` shows an "
        "example of each.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="TOOL", required=True)
    wanted = next((a for a in argv if a in TOOLS), None)
    for name, summary in TOOLS.items():
        subparser = subparsers.add_parser(
            name,
            help=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name != wanted:
            continue  # importing a tool may import torch: only the one asked
        tool = importlib.import_module(f"speechbrain_e2v.tools.{name}")
        subparser.description = tool.__doc__
        tool.add_arguments(subparser)
        subparser.add_argument(
            "--quiet", action="store_true", help="show no progress"
        )
        subparser.add_argument(
            "--debug", action="store_true", help="show tracebacks"
        )
        subparser.set_defaults(run=tool.run)
    return parser.parse_args(argv)


def _line(error: Exception) -> str:
    line = console.one_line(error)
    if isinstance(error, console.EXPECTED):
        return line
    file = console.file_behind(error)
    about = f" (last file: {file})" if file else ""
    return f"{line}{about}; --debug shows where it came from"


def _say(line: str) -> None:
    print(f"e2v: {line}", file=sys.stderr)


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again on its way out, and say so at length.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise type(error)(
            error.errno, error.strerror, "standard output"
        ) from error


if __name__ == "__main__":
    raise SystemExit(main())
