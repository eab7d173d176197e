"""Masks: exact counts, the released statistics, pure functions of seeds."""

import numpy as np
import pytest
import torch

from speechbrain_e2v.pretraining.masking import (
    block_masks,
    clone_seeds,
    mask_layout,
    span_masks,
)


def run_lengths(rows):
    lengths = []
    for row in rows:
        edges = np.flatnonzero(np.diff(np.r_[0, row, 0]))
        lengths += (edges[1::2] - edges[::2]).tolist()
    return np.asarray(lengths)


def naive_block_mask(frames, rng):
    """The released scheme, frame by frame, with NumPy's own generator."""
    masked = np.zeros(frames, bool)
    for centre in rng.integers(0, frames, int(0.11 * frames)):
        for offset in range(-2, 3):
            masked[min(max(centre + offset, 0), frames - 1)] = True
    target = frames // 2
    while masked.sum() > target:
        masked[rng.choice(np.flatnonzero(masked))] = False
    while masked.sum() < target:
        masked[rng.choice(np.flatnonzero(~masked))] = True
    return masked


def drawn(count, frames):
    return block_masks([frames], [list(range(count))])[0].numpy()


@pytest.mark.parametrize("frames", [2, 3, 11, 49, 200, 999])
def test_every_row_masks_exactly_half(frames):
    masks = drawn(16, frames)
    assert (masks.sum(1) == frames // 2).all()


def test_statistics_equal_a_naive_loop():
    ours = drawn(2000, 60)
    rng = np.random.default_rng(0)
    naive = np.stack([naive_block_mask(60, rng) for _ in range(2000)])
    # 4 standard errors of a rate near one half over 2,000 draws
    assert np.abs(ours.mean(0) - naive.mean(0)).max() < 0.065
    assert run_lengths(ours).mean() == pytest.approx(
        run_lengths(naive).mean(), rel=0.03
    )


def test_statistics_equal_the_released_ones(golden):
    stored = golden("masks")
    ours = drawn(4000, 200)
    rate = stored["block_mask_1d/stats_L200/col_rate"]
    assert np.abs(ours.mean(0) - rate).max() < 0.045
    lengths = run_lengths(ours)
    mean = stored["block_mask_1d/stats_L200/mean_run_length"]
    assert lengths.mean() == pytest.approx(float(mean), rel=0.02)
    theirs = stored["block_mask_1d/stats_L200/run_length_hist"]
    ours = np.bincount(lengths, minlength=40)[:40]
    assert np.abs(ours / ours.sum() - theirs / theirs.sum()).max() < 0.01


def test_span_coverage_equals_the_released_one(golden):
    stored = golden("masks")
    coverage = float(stored["compute_mask_indices/stats_L200_mean_coverage"])
    # One row at a time: rows of a batch are thinned to the smallest.
    rates = [span_masks([200], [[s]]).float().mean() for s in range(1500)]
    assert np.mean(rates) == pytest.approx(coverage, abs=0.005)


def test_span_rows_have_equal_counts_and_spans():
    masks = span_masks([100, 100], [[1, 2, 3], [4, 5, 6]]).flatten(0, 1)
    assert len(set(masks.sum(1).tolist())) == 1
    single = span_masks([100], [[7]])[0, 0].numpy()
    assert run_lengths(single[None]).min() >= 5


def test_too_short_for_spans_is_named():
    with pytest.raises(ValueError, match="of 2 frames"):
        span_masks([2], [[1]])


def test_rows_depend_on_their_own_seed_and_length_only():
    together = block_masks([80, 50, 80], [[1, 2], [3, 4], [5, 6]])
    alone = block_masks([50], [[3, 4]])
    assert torch.equal(together[1, :, :50], alone[0])
    assert not together[1, :, 50:].any()


def test_seeds_differ_by_seed_update_utterance_and_clone():
    variants = [
        clone_seeds(1, 5, ["a", "b"], 2),
        clone_seeds(2, 5, ["a", "b"], 2),
        clone_seeds(1, 6, ["a", "b"], 2),
    ]
    flat = [seed for v in variants for row in v for seed in row]
    assert len(set(flat)) == 12
    assert clone_seeds(1, 5, ["b"], 1)[0][0] == variants[0][1][0]


def test_layout_lists_every_real_frame_once():
    mask = block_masks([30, 21], [[1, 2], [3, 4]])
    layout = mask_layout(mask, [30, 21])
    for row in range(4):
        frames = 30 if row < 2 else 21
        visible = layout.visible[row][layout.visible_real[row]]
        masked = layout.masked[row][layout.masked_real[row]]
        assert sorted([*visible.tolist(), *masked.tolist()]) == list(
            range(frames)
        )
        assert mask[row // 2, row % 2][masked].all()
        seen = torch.zeros(30)
        seen[visible] = 1
        assert torch.equal(layout.visible_frames()[row], seen)


def test_equal_counts_need_no_fillers():
    layout = mask_layout(block_masks([30, 30], [[1], [2]]), [30, 30])
    assert layout.visible_real is None and layout.masked_real is None


def test_rows_without_masked_frames_are_named():
    with pytest.raises(ValueError, match=r"rows \[0\] .* no masked frame"):
        mask_layout(torch.zeros(1, 1, 4, dtype=torch.bool))


def test_a_single_frame_is_not_masked():
    assert block_masks([1, 9], [[3], [4]]).sum(2).tolist() == [[0], [4]]
