#!/usr/bin/env python3
"""`e2v extract` on files of mixed lengths, against the peer's loop.

Ours is the wall time of the whole command: start of Python, imports, loading,
headers, reading, padded batches, writing one file a clip. The peer's is its
loop alone (read, encode, write, one clip after the other), its import and
loading left out.

> python benchmarks/extract_command.py -o results.json
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from measurement import demand, main, ratio_row
from timing import ratio
from weights import random_encoder, random_speech, sizes_of

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.published.encoder_folder import save_encoder

CLIPS, SHORTEST, LONGEST = 200, 1.0, 15.0
MAX_ERROR = 1e-4
CARD = {"name": "random", "origin": "benchmark"}


def write_clips(folder, count, longest):
    """Write wav files of mixed lengths; returns seconds of audio."""
    folder.mkdir()
    draws = np.random.default_rng(0).uniform(SHORTEST, longest, count)
    for index, seconds in enumerate(draws):
        wav = random_speech(seconds, seed=index).numpy()
        soundfile.write(folder / f"{index:04d}.wav", wav, SAMPLE_RATE)
    return float(draws.sum())


def our_command(clips, encoder, output):
    """Run the command; returns the seconds that it took in all."""
    command = [sys.executable, "-m", "speechbrain_e2v.cli", "extract"]
    command += [clips, "--encoder", encoder, "-o", output]
    begin = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    demand(done.returncode == 0, done.stderr)
    return time.perf_counter() - begin


def peer_loop(clips, output, tiny):
    """Run the peer in a process of its own; returns its loop's seconds."""
    request = json.dumps([str(clips), str(output), tiny])
    done = subprocess.run(
        [sys.executable, __file__, "--child", request],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"the peer's loop: exit status {done.returncode}")
    return float(done.stdout.splitlines()[-1])


def child(clips, output, tiny):
    """Extract all clips with the peer and print the seconds."""
    from peer import Peer

    peer = Peer(random_encoder(**sizes_of(tiny)))
    peer.frames(random_speech(1.0))
    Path(output).mkdir()
    begin = time.perf_counter()
    for path in sorted(Path(clips).glob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        features = peer.frames(torch.from_numpy(samples))
        np.save(Path(output, f"{path.stem}.npy"), features.numpy())
    print(time.perf_counter() - begin)


def error_between(first, second):
    """Largest difference between two folders of features."""
    names = sorted(path.name for path in second.glob("*.npy"))
    demand(
        sorted(path.name for path in first.glob("*.npy")) == names,
        "not the same files",
    )
    return max(
        float(np.abs(np.load(first / n) - np.load(second / n)).max())
        for n in names
    )


def extract(arguments):
    """Compare the command with the loop, in turns."""
    count = 3 if arguments.tiny else CLIPS
    longest = 2.0 if arguments.tiny else LONGEST
    times = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        clips, encoder = Path(folder, "clips"), Path(folder, "encoder")
        audio = write_clips(clips, count, longest)
        save_encoder(encoder, random_encoder(**sizes_of(arguments.tiny)), CARD)
        for index in range(arguments.rounds or 1):
            ours = Path(folder, f"ours{index}")
            peer = Path(folder, f"peer{index}")
            times["ours"].append(our_command(clips, encoder, ours))
            times["peer"].append(peer_loop(clips, peer, arguments.tiny))
        error = error_between(ours, peer)
    demand(error <= MAX_ERROR, f"error {error:.2e}")
    note = f"{count} clips, {audio / 60:.0f} minutes of audio"
    yield ratio_row("extract_command", ratio(times), {"error": error}, note)


PARTS = {"extract": extract}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
    else:
        main(__doc__, PARTS)
