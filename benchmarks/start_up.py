#!/usr/bin/env python3
"""Start-up times, each in fresh processes, in turns.

> python benchmarks/start_up.py -o results.json
"""

import statistics
import subprocess
import sys

from measurement import Row, demand, main
from timing import alternate

PROGRAMS = {
    "nothing": ["-c", "pass"],
    "torch": ["-c", "import torch"],
    "package": ["-c", "import torch, speechbrain_e2v"],
    "inference": [
        "-c",
        "import torch, speechbrain_e2v.inference.extractor",
    ],
    "help": ["-m", "speechbrain_e2v.cli", "--help"],
}


def start_up(arguments):
    """Time imports over torch, and the command's help as a whole."""

    def process(*options):
        done = subprocess.run(
            [sys.executable, *options], capture_output=True, text=True
        )
        demand(done.returncode == 0, f"{options}: {done.stderr}")

    programs = dict(PROGRAMS)
    if arguments.tiny:
        programs = dict.fromkeys(programs, PROGRAMS["nothing"])
    rounds = arguments.rounds or (1 if arguments.tiny else 7)
    seconds = alternate(
        {
            name: lambda options=options: process(*options)
            for name, options in programs.items()
        },
        rounds,
    )
    median = {name: statistics.median(seconds[name]) for name in seconds}
    for key, name in (("import", "package"), ("import_inference", "inference")):
        over = median[name] - median["torch"]
        yield Row(key, over, rounds=rounds)
    spread = [min(seconds["help"]), max(seconds["help"])]
    yield Row("e2v_help", median["help"], spread=spread, rounds=rounds)


PARTS = {"start_up": start_up}

if __name__ == "__main__":
    main(__doc__, PARTS)
