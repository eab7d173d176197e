#!/usr/bin/env python3
"""Every benchmark, one process each, into one file of results.

> python benchmarks/run_all.py -o results.json
> python benchmarks/run_all.py --parts 300s hour -o long.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from measurement import write_content

HERE = Path(__file__).resolve().parent


class Step(NamedTuple):
    """One part of one script.

    Arguments
    ---------
    script, part : str
    minutes : float
        Estimated, for two quiet cores of 100 GFLOP/s each (fp32).
    big : bool
        Only run when it is named.
    environment : dict of str to str
    """

    script: str
    part: str
    minutes: float
    big: bool = False
    environment: dict = {}


THP = {"THP_MEM_ALLOC_ENABLE": "1"}  # huge pages: fewer page faults
TRIM = {"MALLOC_TRIM_THRESHOLD_": "1048576"}  # glibc gives back what is free
STEPS = {
    "start_up": Step("start_up", "start_up", 1.0),
    "masks": Step("masks", "masks", 0.2),
    "sampler": Step("sampler", "sampler", 0.2),
    "lengths": Step("sampler", "lengths", 0.5),
    "clip_3s": Step("inference", "clip_3s", 0.5),
    "clips_16x3s": Step("inference", "clips_16x3s", 2.0),
    "clip_30s": Step("inference", "clip_30s", 1.2),
    "clip_30s_thp": Step("inference", "clip_30s", 1.2, environment=THP),
    "60s": Step("long_audio", "60s", 1.2),
    "60s_trim": Step("long_audio", "60s", 1.5, environment=TRIM),
    "small": Step("pretraining_step", "small", 2.5),
    "base": Step("pretraining_step", "base", 2.5),
    "probe": Step("probes", "utterance", 3.0),
    "probe_frames": Step("probes", "frames", 0.5),
    "300s": Step("long_audio", "300s", 3.0, big=True),
    "extract": Step("extract_command", "extract", 7.0, big=True),
    "conversation": Step("conversation", "conversation", 9.0, big=True),
    "hour": Step("long_audio", "hour", 12.0, big=True),
}


def run_step(step, options):
    """Run one part in a process of its own.

    Arguments
    ---------
    step : Step
    options : list of str

    Returns
    -------
    dict or None
        What the script wrote; None when it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "rows.json")
        command = [sys.executable, str(HERE / f"{step.script}.py"), step.part]
        command += ["-o", str(output), *options]
        done = subprocess.run(command, env={**os.environ, **step.environment})
        if done.returncode or not output.is_file():
            return None
        return json.loads(output.read_text("utf-8"))


def merged(found):
    """Join what several parts wrote: the first machine, all rows."""
    rows = [row for content in found for row in content["rows"]]
    loads = [content["machine"]["load"] for content in found]
    machine = {**found[0]["machine"], "load": max(loads)}
    return {**found[0], "machine": machine, "rows": rows}


def main(argv=None):
    """Run; returns 1 when a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=STEPS,
        metavar="PART",
        help=f"some of: {', '.join(STEPS)} (default: all but the long ones, "
        f"{', '.join(name for name, step in STEPS.items() if step.big)})",
    )
    parser.add_argument("--rounds", type=int, help="alternations")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    chosen = arguments.parts or [n for n, s in STEPS.items() if not s.big]
    options = ["--tiny"] if arguments.tiny else []
    if arguments.rounds:
        options += ["--rounds", str(arguments.rounds)]
    left = sum(STEPS[name].minutes for name in chosen)
    print(f"{len(chosen)} parts, about {left:.0f} minutes on two quiet cores")
    found, failed = [], []
    for number, name in enumerate(chosen, 1):
        begin = time.perf_counter()
        step = STEPS[name]
        print(f"[{number}/{len(chosen)}] {name}: {step.minutes:g} min")
        content = run_step(step, options)
        if content is None:
            failed.append(name)
            continue
        found.append(content)
        write_content(arguments.output, merged(found))  # so far
        print(f"    took {(time.perf_counter() - begin) / 60:.1f} min")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
