#!/usr/bin/env python3
"""Do pauses change the labels of `e2v timeline`?

Clips are joined with pauses of silence and of noise. For each kind of pause
it is counted how many keep the label that the clip alone has.

> python benchmarks/timeline_pauses.py MODEL EmoDB/wav/03*.wav
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.inference import EmotionClassifier, emotion_timeline

RATE = 16000
KINDS = {"digital silence": None, "noise, -55 dB": -55, "noise, -40 dB": -40}
SECONDS = (0, 0.5, 1, 3)


def join(clips, seconds, decibels):
    """Give clips with a pause before each, and where each begins and ends."""
    generator = np.random.default_rng(0)
    parts, spans, position = [], [], 0
    for clip in [*clips, clips[0][:0]]:
        pause = np.zeros(round(seconds * RATE), dtype=np.float32)
        if decibels is not None:
            pause += generator.normal(0, 10 ** (decibels / 20), len(pause))
        parts += [pause, clip]
        position += len(pause)
        spans.append((position / RATE, (position + len(clip)) / RATE))
        position += len(clip)
    return np.concatenate(parts), spans[:-1]


def labels(timeline, spans):
    """Give the class that most of the speech in each span has."""
    found = []
    for start, end in spans:
        shares = dict.fromkeys(timeline.classes, 0.0)
        for s in timeline.segments:
            if not s.silent:
                overlap = min(end, s.end) - max(start, s.start)
                shares[s.label] += max(0.0, overlap)
        found.append(max(shares, key=shares.get))
    return found


def spread(paths, count):
    """Choose files evenly over EmoDB's emotions, the sixth letter."""
    kinds = {}
    for path in sorted(paths):
        kinds.setdefault(path.stem[5:6], []).append(path)
    rounds = max(map(len, kinds.values()))
    chosen = [k[i] for i in range(rounds) for k in kinds.values() if i < len(k)]
    return chosen[:count]


def run():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="what e2v export wrote")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    classifier = EmotionClassifier.from_pretrained(arguments.model)
    paths = spread(arguments.files, arguments.clips)
    clips = [read_audio(path).numpy() for path in paths]
    alone = [p.label for p in classifier.classify(paths)]
    print(f"{len(clips)} clips; alone: {', '.join(alone)}\n")
    print("| pause |", *(f"{s:g} s |" for s in SECONDS))
    print("|---|" + "---|" * len(SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "joined.wav"
        for kind, decibels in KINDS.items():
            cells = []
            for seconds in SECONDS:
                wav, spans = join(clips, seconds, decibels)
                soundfile.write(path, wav, RATE, subtype="FLOAT")
                found = labels(emotion_timeline(classifier, path), spans)
                same = sum(a == b for a, b in zip(found, alone, strict=True))
                cells.append(f"{same} ({len(set(found))} classes)")
            print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    run()
