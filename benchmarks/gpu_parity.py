#!/usr/bin/env python3
"""Golden vectors on a GPU, in fp32 and in bf16.

Compares features with the reference's, stored beside the checkout in
../shared/golden, and counts how many times real time extraction runs. Exit
status 2 without a CUDA device or without the vectors.

> python benchmarks/gpu_parity.py
> python benchmarks/gpu_parity.py --device cpu --tiny
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from weights import random_speech

from speechbrain_e2v.inference.extractor import Emotion2vec
from speechbrain_e2v.lobes.frontend import normalise_waveform

REPOSITORY = Path(__file__).resolve().parents[1]
GOLDEN = REPOSITORY.parent / "shared" / "golden"
MAX_ERROR, MIN_COSINE = 1e-4, 0.9999


def golden_encoder():
    """Build the base encoder with the weights that the vectors were made of."""
    # The recipe of the weights is kept with the tests that use it.
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from equivalence.reference_model import filled_pair

    recipe = json.loads((GOLDEN / "base_full_recipe.json").read_text("utf-8"))
    return filled_pair(recipe["cfg"])[0].encoder


@torch.no_grad()
def compare(encoder, device):
    """Compare three utterances; returns largest error, lowest cosine."""
    narrow = torch.device(device).type, torch.bfloat16
    worst, lowest = 0.0, 1.0
    with np.load(GOLDEN / "base_full_features.npz") as arrays:
        for index in range(3):
            wav = torch.from_numpy(arrays[f"feat/utt{index}/audio"])
            wanted = torch.from_numpy(arrays[f"feat/utt{index}/x"])
            wav = normalise_waveform(wav.view(1, -1)).to(device)
            found = encoder(wav).cpu()
            worst = max(worst, (found - wanted).abs().max().item())
            with torch.autocast(*narrow):
                low = encoder(wav).float().cpu()
            cosine = torch.cosine_similarity(low.mean(1), wanted.mean(1))
            lowest = min(lowest, cosine.item())
    return worst, lowest


def times_real_time(encoder, device, tiny):
    """Extract many clips of 10 s, waveforms in memory."""
    model = Emotion2vec(encoder, device=device)
    clips = [random_speech(10.0)] * (2 if tiny else 480)
    model.extract(clips[:48], sample_rate=16000)
    begin = time.perf_counter()
    model.extract(clips, sample_rate=16000)
    return 10.0 * len(clips) / (time.perf_counter() - begin)


def main(argv=None):
    """Compare and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    on_gpu = torch.device(arguments.device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        print("no CUDA device: nothing was compared")
        return 2
    if not GOLDEN.is_dir():
        print("no ../shared/golden beside this checkout: nothing to compare")
        return 2
    # TensorFloat-32 would round off half of the digits.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    encoder = golden_encoder().to(arguments.device)
    error, cosine = compare(encoder, arguments.device)
    print(f"fp32: largest error {error:.2e} (at most {MAX_ERROR:g})")
    print(f"bf16: utterance cosine {cosine:.6f} (at least {MIN_COSINE})")
    speed = times_real_time(encoder, arguments.device, arguments.tiny)
    print(f"extraction in fp32: {speed:.0f} times real time")
    return 0 if error <= MAX_ERROR and cosine >= MIN_COSINE else 1


if __name__ == "__main__":
    raise SystemExit(main())
