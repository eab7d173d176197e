#!/usr/bin/env python3
"""Start of an epoch: lengths of 170,000 files, batches of about one length.

The wav files hold no samples to speak of: reading headers is what is timed,
from a warm page cache.

> python benchmarks/sampler.py -o results.json
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from measurement import Row, demand, main

from speechbrain_e2v.corpora.audio_info import audio_infos
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.pretraining.batch_sampler import LengthBatchSampler

UTTERANCES, TINY = 170_000, 2_000
FILES, TINY_FILES = 17_000, 50  # each is read several times
MAX_SAMPLES, MAX_UTTERANCE = 1_000_000, 320_000


def sampler_start(arguments):
    """Time the construction, which composes the first epoch."""
    count = TINY if arguments.tiny else UTTERANCES
    draws = np.random.default_rng(0).gamma(2.5, 2.2, count).clip(0.5, 40)
    lengths = (draws * SAMPLE_RATE).astype(np.int64)
    times = []
    for _ in range(arguments.rounds or 5):
        begin = time.perf_counter()
        sampler = LengthBatchSampler(lengths, MAX_SAMPLES, MAX_UTTERANCE)
        times.append(time.perf_counter() - begin)
    batches = list(sampler)
    seen = np.sort([index for batch in batches for index, _ in batch])
    demand((seen == np.arange(count)).all(), "not every utterance once")
    cropped = np.minimum(lengths, MAX_UTTERANCE)
    largest = max(
        len(batch) * max(cropped[index] for index, _ in batch)
        for batch in batches
    )
    demand(largest <= MAX_SAMPLES, f"a batch of {largest} samples")
    used = [
        len(batch) * min(cropped[index] for index, _ in batch)
        for batch in batches
    ]
    yield Row(
        "sampler_start",
        float(np.median(times)),
        {"fill": float(np.mean(used)) / MAX_SAMPLES},
        [min(times), max(times)],
        len(times),
    )


def lengths(arguments):
    """Time reading headers of wav files."""
    files, total = (
        (TINY_FILES, 2 * TINY_FILES) if arguments.tiny else (FILES, UTTERANCES)
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, f"{index}.wav")) for index in range(files)]
        for index, path in enumerate(paths):
            samples = np.zeros(400 + index % 100, dtype=np.int16)
            soundfile.write(path, samples, SAMPLE_RATE)
        wanted = [400 + index % 100 for index in range(files)]
        times = []
        for _ in range(total // files):
            begin = time.perf_counter()
            found = audio_infos(paths, progress=False)
            times.append(time.perf_counter() - begin)
            demand([f.num_samples for f in found] == wanted, "wrong lengths")
    yield Row(
        "lengths",
        sum(times),
        {"files": files},
        rounds=len(times),
        note=f"{files:,} files, {total // files} times",
    )


PARTS = {"sampler": sampler_start, "lengths": lengths}

if __name__ == "__main__":
    main(__doc__, PARTS)
