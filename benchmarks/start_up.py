#!/usr/bin/env python3
"""Start-up times, each in a fresh process.

What our modules add to `import torch` is timed inside the process that
imports both: torch's own import varies by more than that.

> python benchmarks/start_up.py -o results.json
"""

import statistics
import subprocess
import sys
import time

from measurement import Row, demand, main

ADDED = """
import time, torch
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin)
"""
MODULES = {
    "import": "speechbrain_e2v",
    "import_inference": "speechbrain_e2v.inference.extractor",
}


def start_up(arguments):
    """Time imports over torch, and the command's help as a whole."""
    rounds = arguments.rounds or (1 if arguments.tiny else 7)
    for key, module in MODULES.items():
        module = "json" if arguments.tiny else module
        code = ADDED.format(module=module)
        yield _row(key, [float(_run("-c", code)) for _ in range(rounds)])
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        _run("-m", "speechbrain_e2v.cli", "--help")
        seconds.append(time.perf_counter() - begin)
    yield _row("e2v_help", seconds)


def _row(key, seconds):
    spread = [min(seconds), max(seconds)]
    median = statistics.median(seconds)
    return Row(key, median, spread=spread, rounds=len(seconds))


def _run(*options):
    done = subprocess.run(
        [sys.executable, *options], capture_output=True, text=True
    )
    demand(done.returncode == 0, f"{options}: {done.stderr}")
    return done.stdout


PARTS = {"start_up": start_up}

if __name__ == "__main__":
    main(__doc__, PARTS)
