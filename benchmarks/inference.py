#!/usr/bin/env python3
"""Short clips and lists of clips: our extractor against FunASR's class.

Both get the same waveforms and weights and return the features of all frames,
in turns in one process. In bf16 ours is compared with the peer's fp32, since
the peer has nothing else.

> python benchmarks/inference.py clip_3s -o results.json
"""

import copy
from functools import partial

import torch
from machine import allocator
from measurement import demand, main, ratio_row
from timing import alternate, ratio
from weights import random_encoder, random_speech, sizes_of

from speechbrain_e2v.inference.extractor import Emotion2vec
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.pooling import masked_mean

MAX_ERROR = 1e-4
MIN_COSINE = 0.9999


def compare(key, encoder, peer, clips, rounds):
    """Compare on some clips of equal length.

    Arguments
    ---------
    key : str
        Of the goals, without precision.
    encoder : Emotion2vecEncoder
    peer : object
        With `frames(wav)`: [S] -> [T, D].
    clips : list of torch.Tensor
        [S] each.
    rounds : int

    Yields
    ------
    Row
        In fp32 and in bf16.
    """
    ours = Emotion2vec(copy.deepcopy(encoder))
    narrow = copy.deepcopy(encoder).bfloat16().requires_grad_(False)
    batches = ours.batches([len(clip) for clip in clips])
    found, low = in_fp32(ours, clips, batches), in_bf16(narrow, clips, batches)
    wanted = torch.stack([peer.frames(clip) for clip in clips])
    error = (found - wanted).abs().max().item()
    demand(error <= MAX_ERROR, f"{key}: fp32 error {error:.2e}")
    cosine = torch.cosine_similarity(masked_mean(low), masked_mean(wanted))
    cosine = cosine.min().item()
    demand(cosine >= MIN_COSINE, f"{key}: bf16 cosine {cosine:.6f}")
    seconds = alternate(
        {
            "peer": lambda: [peer.frames(clip) for clip in clips],
            "fp32": lambda: in_fp32(ours, clips, batches),
            "bf16": lambda: in_bf16(narrow, clips, batches),
        },
        rounds,
        warm_up=False,
    )
    for precision, checks in (
        ("fp32", {"error": error}),
        ("bf16", {"utterance cosine": cosine}),
    ):
        found = ratio(seconds, precision)
        yield ratio_row(f"{key}_{precision}", found, checks, allocator())


def in_fp32(model, clips, batches):
    """Extract as users do, in the extractor's own batches; [B, T, D]."""
    found = [None] * len(clips)
    for batch in batches:
        names = [str(index) for index in batch]
        results = model.encode([clips[i] for i in batch], names, "frame")
        for index, features in zip(batch, results, strict=True):
            found[index] = features.values
    return torch.stack(found)


@torch.no_grad()
def in_bf16(encoder, clips, batches):
    """Encode with an encoder cast to bf16, in the same batches; fp32 out."""
    found = [None] * len(clips)
    for batch in batches:
        wav = normalise_waveform(torch.stack([clips[i] for i in batch]))
        for index, frames in zip(batch, encoder(wav.bfloat16()), strict=True):
            found[index] = frames.float()
    return torch.stack(found)


def part(key, count, seconds, rounds, arguments):
    """Load both sides and compare on `count` clips of some seconds."""
    from peer import Peer

    encoder = random_encoder(**sizes_of(arguments.tiny))
    clips = [random_speech(seconds, seed) for seed in range(count)]
    rounds = arguments.rounds or (1 if arguments.tiny else rounds)
    yield from compare(key, encoder, Peer(encoder), clips, rounds)


PARTS = {
    "clip_3s": partial(part, "clip_3s", 1, 3.0, 9),
    "clip_30s": partial(part, "clip_30s", 1, 30.0, 3),
    "clips_16x3s": partial(part, "clips_16x3s", 16, 3.0, 3),
}

if __name__ == "__main__":
    main(__doc__, PARTS)
