#!/usr/bin/env python3
"""Block masks of a batch: 32 clones of 499 frames.

> python benchmarks/masks.py -o results.json
"""

import statistics

from measurement import Row, demand, main
from timing import alternate

from speechbrain_e2v.pretraining.masking import block_masks, clone_seeds

CLONES, UTTERANCES, FRAMES = 8, 4, 499
AT_ONCE = 20  # timed together: one draw is too short


def masks(arguments):
    """Time drawing, seeds included, after checking the exact counts."""

    def draw(update=0):
        names = [str(index) for index in range(UTTERANCES)]
        seeds = clone_seeds(1, update, names, CLONES)
        return block_masks([FRAMES] * UTTERANCES, seeds)

    mask = draw()
    counts = mask.sum(2).unique().tolist()
    demand(counts == [FRAMES // 2], f"masked frames {counts}")
    demand(bool((draw() == mask).all()), "the same seeds, another mask")
    demand(bool((draw(1) != mask).any()), "another update, the same mask")
    rounds = arguments.rounds or (3 if arguments.tiny else 50)

    def draw_some():
        for update in range(AT_ONCE):
            draw(update)

    seconds = alternate({"ours": draw_some}, rounds)["ours"]
    milliseconds = [1000 * value / AT_ONCE for value in seconds]
    yield Row(
        "masks",
        statistics.median(milliseconds),
        {"masked frames": counts[0]},
        [min(milliseconds), max(milliseconds)],
        rounds,
    )


PARTS = {"masks": masks}

if __name__ == "__main__":
    main(__doc__, PARTS)
