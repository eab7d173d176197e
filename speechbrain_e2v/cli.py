"""The `e2v` command: one subcommand a tool."""

import argparse
import importlib
import sys

from speechbrain_e2v import __version__

TOOLS = {
    "extract": "write features of audio files",
    "doctor": "check the installation",
    "manifest": "list audio files for pre-training",
    "convert": "published checkpoints to encoder folders and back",
    "export": "write a classifier folder for SpeechBrain, or an ONNX file",
    "classify": "recognise the emotion of files",
    "timeline": "show emotion over time",
    "push": "publish a classifier folder",
    "audit": "look for leaks between training, validation and test",
    "reproduce": "run every recipe whose corpus is there, make the table",
    "table": "tables from results.json files",
}
"""Subcommand -> what it does; each is a module of speechbrain_e2v.tools with
`add_arguments(parser)` and `run(arguments)`."""


def main(argv=None):
    """Run a subcommand.

    Arguments
    ---------
    argv : list of str or None
        Without the program's name; None: the command line.

    Returns
    -------
    int
        Exit status: 0, or 1 after an error that was told in one line.

    Example
    -------
    >>> main(["manifest", "no/such/folder", "-o", "x.json"])
    1
    """
    argv = sys.argv[1:] if argv is None else list(argv)
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
        subparser.add_argument(
            "--debug", action="store_true", help="show tracebacks"
        )
        tool.add_arguments(subparser)
        subparser.set_defaults(run=tool.run)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("e2v: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        if arguments.debug:
            raise
        print(f"e2v: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
