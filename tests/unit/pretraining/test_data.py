"""Items and batches of pre-training."""

import math

import numpy
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.manifest import Utterance
from speechbrain_e2v.pretraining.batch_sampler import LengthBatchSampler
from speechbrain_e2v.pretraining.data import (
    BadUtterance,
    GoodUtterance,
    PretrainingDataset,
    crop_collate,
    crop_positions,
    pad_collate,
)

LENGTHS = [4000, 5000, 9000, 12000]


@pytest.fixture
def utterances(tmp_path):
    rows = []
    for i, length in enumerate(LENGTHS):
        wave = numpy.random.default_rng(i).normal(0.1, 0.05 + i / 50, length)
        soundfile.write(tmp_path / f"{i}.wav", wave, 16000)
        rows.append(
            Utterance(
                f"utt{i}",
                str(tmp_path / f"{i}.wav"),
                num_samples=length,
                sample_rate=16000,
            )
        )
    return rows


def naive_normalised(path):
    wave = soundfile.read(path)[0].astype(numpy.float64)
    mean = sum(wave) / len(wave)
    variance = sum((wave - mean) ** 2) / len(wave)
    return (wave - mean) / math.sqrt(variance + 1e-5)


def position_of(crop, whole):
    """Where a crop starts in the whole; fails if it is no slice of it."""
    for start in range(len(whole) - len(crop) + 1):
        if numpy.allclose(whole[start : start + len(crop)], crop, atol=1e-4):
            return start
    raise AssertionError("the crop is not a slice of the utterance")


def test_items_are_normalised_before_they_are_cropped(utterances):
    data = PretrainingDataset(utterances, max_samples=8000, seed=1)
    assert data.lengths.tolist() == LENGTHS
    for index, utterance in enumerate(utterances):
        whole = naive_normalised(utterance.wav)
        item = data[index, 3]
        assert item.wav.dtype == torch.float32
        assert len(item.wav) == min(LENGTHS[index], 8000)
        start = position_of(item.wav.numpy(), whole)
        outer, _ = crop_positions(1, 3, utterance.id)
        assert start == int(outer * (len(whole) - len(item.wav) + 1))


def test_batches_are_cropped_to_the_shortest(utterances):
    data = PretrainingDataset(utterances, seed=1)
    batch = crop_collate([data[i, 0] for i in range(4)])
    assert batch.ids == [u.id for u in utterances]
    assert batch.wav.shape == (4, 4000)
    assert batch.num_samples.tolist() == [4000] * 4
    assert not batch.is_empty and len(batch) == 4
    starts = [
        position_of(row.numpy(), naive_normalised(u.wav))
        for row, u in zip(batch.wav, utterances, strict=True)
    ]
    assert starts[0] == 0 and any(starts)


def test_crops_depend_on_seed_epoch_and_id_only(utterances):
    def crops(seed, epoch, order):
        data = PretrainingDataset(utterances, 6000, seed)
        batch = crop_collate([data[i, epoch] for i in order])
        return dict(zip(batch.ids, batch.wav, strict=True))

    one, again = crops(1, 1, [0, 1, 2, 3]), crops(1, 1, [3, 2, 1, 0])
    assert all(torch.equal(one[name], again[name]) for name in one)
    for other in (crops(2, 1, range(4)), crops(1, 2, range(4))):
        assert torch.equal(one["utt0"], other["utt0"])  # nothing to crop
        assert not torch.equal(one["utt3"], other["utt3"])


def test_crop_positions_are_uniform_and_reach_both_ends():
    draws = numpy.array([crop_positions(1, 1, f"u{i}") for i in range(4000)])
    assert abs(draws.mean(0) - 0.5).max() < 0.02
    assert abs(numpy.corrcoef(draws.T)[0, 1]) < 0.05
    wav = torch.arange(5)
    assert GoodUtterance("a", wav, 0.0).cropped(3).tolist() == [0, 1, 2]
    almost = 1 - 2.0**-53
    assert GoodUtterance("a", wav, almost).cropped(3).tolist() == [2, 3, 4]


def test_padding_keeps_whole_utterances(utterances):
    data = PretrainingDataset(utterances, max_samples=9000, seed=1)
    items = [data[i, 0] for i in range(4)]
    batch = pad_collate(items)
    assert batch.num_samples.tolist() == [4000, 5000, 9000, 9000]
    for row, item, count in zip(
        batch.wav, items, batch.num_samples, strict=True
    ):
        assert torch.equal(row[:count], item.wav)
        assert not row[count:].any()


def test_pieces_are_normalised_over_the_piece(utterances):
    whole = utterances[3]
    piece = Utterance("p", whole.wav, start=0.25, stop=0.5)
    item = PretrainingDataset([piece], seed=1)[0, 0]
    raw = read_audio(whole.wav, 0.25, 0.5)
    expected = (raw - raw.mean()) / (raw.var(unbiased=False) + 1e-5).sqrt()
    assert torch.allclose(item.wav, expected, atol=1e-5)


def break_files(utterances):
    short, changed, missing = utterances[:3]
    soundfile.write(short.wav, [0.1] * 399, 16000)
    soundfile.write(changed.wav, [0.1] * 4000, 16000)
    open(missing.wav, "w").close()


def test_a_file_that_goes_bad_is_marked_not_raised(utterances):
    break_files(utterances)
    data = PretrainingDataset(utterances, seed=1)
    items = [data[i, 0] for i in range(4)]
    reasons = [i.reason for i in items if isinstance(i, BadUtterance)]
    assert "399 samples" in reasons[0] and "needs 400" in reasons[0]
    assert "4000 samples" in reasons[1] and "5000 when training" in reasons[1]
    assert "unreadable (0 bytes)" in reasons[2]
    for collate in (crop_collate, pad_collate):
        batch = collate(items)
        assert batch.ids == ["utt3"] and batch.wav.shape == (1, 12000)
        assert [s.id for s in batch.skipped] == ["utt0", "utt1", "utt2"]
        assert batch.skipped[0].path == utterances[0].wav
        nothing = collate(items[:3])
        assert nothing.is_empty and nothing.ids == []
        assert nothing.wav.shape == (1, 400) and not nothing.wav.any()
        assert nothing.num_samples.tolist() == [400]
        assert len(nothing.skipped) == 3


def test_moving_a_batch_keeps_the_rest(utterances):
    data = PretrainingDataset(utterances, seed=1)
    bad = BadUtterance("x", "x.wav", "why")
    batch = crop_collate([data[0, 0], bad])
    moved = batch.to("meta")
    assert {t.device.type for t in (moved.wav, moved.num_samples)} == {"meta"}
    assert (moved.ids, moved.skipped) == (["utt0"], [bad])
    assert batch.wav.device.type == "cpu"
    if torch.cuda.is_available():
        assert batch.pin_memory().wav.is_pinned()


def test_workers_give_the_same_batches(utterances):
    data = PretrainingDataset(utterances, 8000, seed=1)

    def batches(workers):
        sampler = LengthBatchSampler(data.lengths, 16000, 8000, seed=1)
        sampler.set_epoch(2)
        return list(
            DataLoader(
                data,
                batch_sampler=sampler,
                collate_fn=crop_collate,
                num_workers=workers,
            )
        )

    for here, there in zip(batches(0), batches(2), strict=True):
        assert here.ids == there.ids
        assert torch.equal(here.wav, there.wav)


def test_a_maximum_without_a_frame_is_refused():
    with pytest.raises(ValueError, match="max_samples is 399"):
        PretrainingDataset([], max_samples=399)
