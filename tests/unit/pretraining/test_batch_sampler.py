"""The sampler: budget, epochs, ranks, resuming, speed."""

import time

import numpy
import pytest
from speechbrain.dataio.dataloader import SaveableDataLoader
from torch.utils.data import Dataset

from speechbrain_e2v.pretraining.batch_sampler import (
    LengthBatchSampler,
    cut_batches,
)

BUDGET, LONGEST = 480_000, 160_000


def speech_lengths(count, seed=0):
    seconds = numpy.random.default_rng(seed).lognormal(1.5, 0.6, count)
    return (seconds.clip(0.5, 60) * 16000).astype(int)


LENGTHS = speech_lengths(2000)


def sampler(**changes):
    options = {
        "lengths": LENGTHS,
        "max_samples": BUDGET,
        "max_utterance": LONGEST,
        "seed": 7,
        **changes,
    }
    return LengthBatchSampler(**options)


def composition(batches):
    return {frozenset(index for index, _ in batch) for batch in batches}


def test_every_batch_fits_and_nothing_repeats_or_is_lost():
    plain = sampler()
    for epoch in range(4):
        plain.set_epoch(epoch)
        batches = list(plain)
        assert len(batches) == len(plain)
        seen = [index for batch in batches for index, _ in batch]
        assert sorted(seen) == list(range(2000))
        for batch in batches:
            assert {e for _, e in batch} == {epoch}
            counted = [min(LENGTHS[i], LONGEST) for i, _ in batch]
            assert max(counted) * len(batch) <= BUDGET


def test_cutting_equals_a_naive_loop():
    lengths = LENGTHS[:300].clip(max=LONGEST).tolist()
    batches, batch = [], []
    for length in lengths:
        if max([*batch, length]) * (len(batch) + 1) > BUDGET:
            batches.append(batch)
            batch = []
        batch.append(length)
    batches.append(batch)
    starts = cut_batches(lengths, BUDGET)
    pairs = zip(starts[:-1], starts[1:], strict=True)
    assert [lengths[a:b] for a, b in pairs] == batches


@pytest.mark.parametrize("epoch", [0, 3])
def test_only_the_remainder_is_left_out(epoch):
    whole, parts = sampler(), sampler(world_size=3, batches_per_update=8)
    whole.set_epoch(epoch)
    parts.set_epoch(epoch)
    assert len(parts) % 8 == 0
    assert len(whole) - 24 < 3 * len(parts) <= len(whole)
    everything = [
        batch
        for rank in range(3)
        for batch in rank_batches(rank, epoch, world_size=3)
    ]
    indices = [i for batch in everything for i, _ in batch]
    assert len(indices) == len(set(indices))
    assert composition(everything) <= composition(whole)


def rank_batches(rank, epoch, world_size):
    one = sampler(rank=rank, world_size=world_size, batches_per_update=8)
    one.set_epoch(epoch)
    return list(one)


def test_the_remainder_differs_between_epochs():
    one, left_out = sampler(batches_per_update=100), []
    for epoch in range(3):
        one.set_epoch(epoch)
        seen = {index for batch in one for index, _ in batch}
        left_out.append(set(range(2000)) - seen)
    assert all(left_out)
    assert len(left_out[0] & left_out[1] & left_out[2]) < len(left_out[0]) / 4


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_interleave_to_the_list_of_one_rank(world_size):
    single = sampler(batches_per_update=8 * world_size)
    single.set_epoch(5)
    expected = list(single)
    ranks = [rank_batches(r, 5, world_size) for r in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    assert [b for step in zip(*ranks, strict=True) for b in step] == expected


def test_composition_and_order_change_with_epoch_and_seed_only():
    one, again, other = sampler(), sampler(), sampler(seed=8)
    first = list(one)
    assert first == list(again) == list(one)
    one.set_epoch(1)
    second = list(one)
    again.set_epoch(4)  # where it came from must not matter
    again.set_epoch(1)
    assert second == list(again)
    kept = composition(first) & composition(second)
    assert len(kept) < len(first) / 10
    assert composition(first) != composition(other)


def test_setting_the_epoch_does_not_disturb_an_iteration():
    one = sampler()
    expected, iterator = list(one), iter(one)
    one.set_epoch(1)
    assert list(iterator) == expected


def fill(batches, lengths, longest, budget):
    """Share of the budget of batches cropped to their shortest utterance."""
    used = [
        min(min(lengths[i], longest) for i, _ in batch) * len(batch)
        for batch in batches
    ]
    return numpy.mean(used) / budget


def test_batches_are_nearly_full():
    lengths = speech_lengths(20_000)
    big = LengthBatchSampler(lengths, 1_000_000, 320_000, 1)
    assert fill(big, lengths, 320_000, 1_000_000) > 0.93
    assert fill(sampler(), LENGTHS, LONGEST, BUDGET) > 0.85


def test_moving_costs_little():
    still, moving = sampler(spread=0), sampler()
    filled = [fill(s, LENGTHS, LONGEST, BUDGET) for s in (still, moving)]
    assert filled[1] > filled[0] - 0.02
    one = composition(still)
    still.set_epoch(1)
    assert composition(still) == one


class Echo(Dataset):
    def __len__(self):
        return 2000

    def __getitem__(self, key):
        return key


@pytest.mark.parametrize("workers", [0, 1])
def test_speechbrains_loader_resumes_by_skipping(tmp_path, workers):
    def loader():
        batches = sampler(batches_per_update=4)
        batches.set_epoch(2)
        return SaveableDataLoader(
            Echo(), batch_sampler=batches, num_workers=workers, collate_fn=list
        )

    expected = list(loader())
    stopped = loader()
    assert len(stopped) == len(expected)
    iterator = iter(stopped)
    seen = [next(iterator) for _ in range(5)]
    stopped._speechbrain_save(tmp_path / "loader.ckpt")
    del iterator
    resumed = loader()
    resumed._speechbrain_load(tmp_path / "loader.ckpt", end_of_epoch=False)
    assert seen + list(resumed) == expected


def test_170000_utterances_take_less_than_half_a_second():
    lengths = speech_lengths(170_000)
    started = time.process_time()
    big = LengthBatchSampler(lengths, 1_000_000, 320_000, 1)
    big.set_epoch(1)
    count = sum(len(batch) for batch in big)
    assert time.process_time() - started < 0.5
    assert count == 170_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lengths": [400, 900], "max_utterance": None, "max_samples": 800},
            "utterance 1 counts 900 samples.*lower max_utterance",
        ),
        ({"lengths": [400, 0]}, "utterance 1 has 0 samples"),
        ({"lengths": []}, "at least one utterance"),
        (
            {"lengths": [400] * 9, "world_size": 2, "batches_per_update": 3},
            r"make 1 batches.*needs 6 \(2 processes x 3 accumulated\)",
        ),
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
        ({"spread": -1}, "spread is -1"),
    ],
)
def test_impossible_batches_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sampler(**changes)
