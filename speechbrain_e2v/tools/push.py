"""Publish a classifier folder, with a model card made of its results.

examples:
  e2v push results/my_classifier my-name/my-classifier --private
  e2v push results/my_classifier ./for_a_colleague
"""

import argparse

from speechbrain_e2v.inference.publish import publish


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v push`."""
    parser.add_argument("folder", metavar="DEST", help="what e2v export wrote")
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="hub id owner/name, or a folder: ./path",
    )
    parser.add_argument(
        "--private", action="store_true", help="of a new repository"
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="another hub than huggingface.co"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a target folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Publish and print where."""
    print(
        publish(
            arguments.folder,
            arguments.target,
            arguments.private,
            arguments.endpoint,
            arguments.overwrite,
        )
    )
    return 0
