"""One vocabulary of layers, one way to pad, one way to cut batches."""

import pytest
import torch

from speechbrain_e2v.lobes.batching import (
    batches_by_length,
    checked_layer,
    choose_layers,
    layer_indices,
    normalise_padded,
    parse_layer,
    waveform_batch,
)
from speechbrain_e2v.lobes.frontend import normalise_waveform

STATES = [torch.randn(2, 3, generator=torch.Generator().manual_seed(i))
          for i in range(6)]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (-2, STATES[4]),
        ([5, 2, -1], (STATES[2] + STATES[5]) / 2),
        ([3], STATES[3]),
        ("last", STATES[5]),
        ("mean_last_4", sum(STATES[2:]) / 4),
        ("all", torch.stack(STATES, dim=1)),
    ],
)
def test_layers(layer, expected):
    found = choose_layers(iter(STATES), layer, 6)
    torch.testing.assert_close(found, expected)
    assert layer_indices(checked_layer(layer, 6), 6) == layer_indices(layer, 6)


def test_weighted_needs_weights():
    weights = torch.arange(6.0)
    found = choose_layers(STATES, "weighted", 6, weights)
    expected = sum(w * s for w, s in zip(weights, STATES, strict=True))
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="only a trained probe has"):
        choose_layers(STATES, "weighted", 6)


def test_no_block_behind_the_last_wanted_one_is_asked_for():
    asked = []

    def blocks():
        for index, state in enumerate(STATES):
            asked.append(index)
            yield state

    choose_layers(blocks(), [0, 2], 6)
    assert asked == [0, 1, 2]


@pytest.mark.parametrize(
    "layer", [6, -7, [], [0, 6], "first", True, 1.5, [True], ["last"], None]
)
def test_what_is_no_layer_is_refused(layer):
    with pytest.raises(ValueError, match=r"^layer is .*use 0 to 5, a list"):
        checked_layer(layer, 6)


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("3", 3), ("-1", -1), ("last", "last"), ("[-1]", -1),
        ("-4,-3", [-4, -3]), ("[-4, -3, -2, -1]", [-4, -3, -2, -1]),
        ("[a]", "[a]"), ("1,,2", "1,,2"),
    ],
)  # fmt: skip
def test_layers_on_a_command_line(text, layer):
    assert parse_layer(text) == layer


def offset_clips():
    generator = torch.Generator().manual_seed(0)
    return [
        offset + scale * torch.randn(samples, generator=generator)
        for samples, offset, scale in (
            (9000, 0.9, 1e-4), (400, -0.3, 1e-3), (30_001, 0.0, 0.1),
        )
    ]  # fmt: skip


def test_a_clip_in_a_batch_is_the_clip_alone_to_the_bit():
    clips = offset_clips()
    batch = waveform_batch(clips)
    padded = torch.nn.utils.rnn.pad_sequence(
        clips, batch_first=True, padding_value=7.0
    )
    normalised = normalise_padded(padded, batch.lengths)
    assert torch.equal(normalised, batch.wav)
    for row, clip in zip(batch.wav, clips, strict=True):
        assert torch.equal(row[: len(clip)], normalise_waveform(clip[None])[0])
        assert not row[len(clip) :].any()


def test_short_clips_are_filled_up_before_they_are_normalised():
    clip = torch.ones(100)
    batch = waveform_batch([clip], min_samples=400)
    filled = torch.cat([clip, torch.zeros(300)])
    assert torch.equal(batch.wav, normalise_waveform(filled[None]))
    assert batch.samples.tolist() == [400]


def test_batches_hold_every_clip_once_within_the_budget():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(400, 90_000, (200,), generator=generator).tolist()
    batches = batches_by_length(lengths, 4.0)
    assert sorted(i for batch in batches for i in batch) == list(range(200))
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch in batches:
        padded = max(lengths[i] for i in batch) * len(batch)
        assert padded <= 64_000 or len(batch) == 1
    assert batches_by_length([], 4.0) == []
    with pytest.raises(ValueError, match="batch_seconds is 0"):
        batches_by_length(lengths, 0)
