#!/usr/bin/env python3
"""Long audio, exact attention: memory over the resident model, and speed.

Every figure comes from a process of its own, which loads the model, encodes
one second to wake up libraries, and then measures one call.

> python benchmarks/long_audio.py 60s 300s -o results.json
"""

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import allocator
from measurement import Row, demand, main, ratio_row
from memory import peak_of_process, peak_over_resident
from timing import ratio
from weights import random_encoder, random_speech, sizes_of

from speechbrain_e2v.inference.extractor import Emotion2vec

MAX_ERROR = 1e-4
KEPT_FRAMES = 50  # compared between both sides


def measure(side, seconds, tiny=False):
    """Measure one call in a fresh process.

    Arguments
    ---------
    side : str
        "ours" or "peer".
    seconds : float
        Of audio.
    tiny : bool

    Returns
    -------
    dict
        `seconds` that it took, `peak` over the model and `process`, GiB, and
        some of the `frames`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frames.npy")
        request = json.dumps([side, seconds, tiny, str(path)])
        done = subprocess.run(
            [sys.executable, __file__, "--child", request],
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{side}, {seconds} s: exit {done.returncode}")
        figures = json.loads(done.stdout.splitlines()[-1])
        return {**figures, "frames": np.load(path)}


def child(side, seconds, tiny, path):
    """Do one measurement and print it as JSON."""
    encoder = random_encoder(**sizes_of(tiny))
    if side == "peer":
        from peer import Peer

        frames = Peer(encoder).frames
        del encoder
    else:
        model = Emotion2vec(encoder)

        def frames(wav):
            return model.encode([wav], ["clip"], "frame")[0].values

    frames(random_speech(1.0))
    wav = random_speech(seconds)
    begin = time.perf_counter()
    found, peak = peak_over_resident(lambda: frames(wav))
    took = time.perf_counter() - begin
    np.save(path, found[:: max(1, len(found) // KEPT_FRAMES)].numpy())
    process = peak_of_process()
    print(json.dumps({"seconds": took, "peak": peak, "process": process}))


def beside_the_peer(key, seconds, arguments):
    """Compare memory and speed with the peer's, processes in turns."""
    rounds = arguments.rounds or 1
    runs = {"ours": [], "peer": []}
    for index in range(rounds):
        for side in sorted(runs, reverse=bool(index % 2)):
            runs[side].append(measure(side, seconds, arguments.tiny))
    ours, peer = runs["ours"][0], runs["peer"][0]
    error = float(np.abs(ours["frames"] - peer["frames"]).max())
    demand(error <= MAX_ERROR, f"{seconds} s: error {error:.2e}")
    checks = {"error": error}
    for side, name in (("ours", "memory"), ("peer", "memory_peer")):
        worst = max(run["peak"] for run in runs[side])
        yield Row(
            f"{key}_{name}", worst, checks, rounds=rounds, note=allocator()
        )
    times = {side: [run["seconds"] for run in runs[side]] for side in runs}
    yield ratio_row(f"{key}_speed", ratio(times), checks, allocator())


def alone(key, seconds, memory, arguments):
    """Measure where no peer can follow."""
    if arguments.tiny:
        seconds = 20.0
    run = measure("ours", seconds, arguments.tiny)
    demand(bool(np.isfinite(run["frames"]).all()), f"{key} is not finite")
    note = f"{torch.get_num_threads()} threads, {run['seconds']:.0f} s"
    yield Row(f"{key}_memory", run[memory])
    yield Row(f"{key}_rtf", run["seconds"] / seconds, note=note)


PARTS = {
    "60s": partial(beside_the_peer, "long_60s", 60.0),
    "300s": partial(alone, "long_300s", 300.0, "peak"),
    "hour": partial(alone, "long_hour", 3600.0, "process"),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
    else:
        main(__doc__, PARTS)
