"""Resumption, selection, batches, heads and augmentation of fine-tuning."""

import functools
import json

import pytest
import soundfile
import torch
from speechbrain.augment.time_domain import (
    AddNoise,
    DropChunk,
    DropFreq,
    SpeedPerturb,
)
from unit.downstream.finetuning import tuning
from unit.inference.tiny import noise, tiny_encoder

from speechbrain_e2v.downstream.finetuning.augmentation import (
    Augment,
    GeneratedReverb,
    NoiseFiles,
)
from speechbrain_e2v.downstream.finetuning.batches import UpdateBatches
from speechbrain_e2v.downstream.finetuning.brain import FineTuningBrain
from speechbrain_e2v.downstream.finetuning.heads import AttentiveStatisticsHead
from speechbrain_e2v.downstream.finetuning.mixing import AnnotatorDropout, Mix
from speechbrain_e2v.downstream.finetuning.model import TunedEncoder
from speechbrain_e2v.lobes.batching import waveform_batch
from speechbrain_e2v.lobes.heads import (
    FrameMLPHead,
    LinearHead,
    WeightedSumHead,
)

STEPS = {
    "noise": functools.partial(AddNoise, snr_low=5, snr_high=10),
    "speed": functools.partial(SpeedPerturb, 16000, speeds=[90, 110]),
    "frequencies": DropFreq,
    "chunks": functools.partial(
        DropChunk, drop_length_low=400, drop_length_high=800
    ),
    "reverberation": GeneratedReverb,
}
ALL = [Mix(0.5), *(Augment(step, 0.5) for step in STEPS.values())]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tuning.corpus(tmp_path_factory.mktemp("corpus"))


def assert_equal(one, other):
    assert one.history == other.history
    assert torch.equal(one.outputs, other.outputs)
    assert one.encoder.keys() == other.encoder.keys()
    for name, value in one.encoder.items():
        assert torch.equal(value, other.encoder[name]), name
    for name, value in one.head.state_dict().items():
        assert torch.equal(value, other.head.state_dict()[name]), name


@pytest.mark.parametrize("killed_at", [1, 2, 4, 5])
def test_killed_and_resumed_ends_with_the_same_bits(
    killed_at, store, tmp_path, monkeypatch
):
    """With dropout, layer drop and every augmentation; 2 updates an epoch."""
    changes = {
        "augmentation": ALL,
        "number_of_epochs": 3,
        "run_options": {"ckpt_interval_steps": 1},
    }
    whole = tuning.tuned(store, tmp_path / "whole", **changes)
    step = FineTuningBrain.on_optimizer_step

    def killed(self):
        step(self)
        if self.optimizer_step == killed_at:
            raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(FineTuningBrain, "on_optimizer_step", killed)
        with pytest.raises(KeyboardInterrupt):
            tuning.tuned(store, tmp_path / "killed", **changes)
    made = []

    def counted(self):
        step(self)
        made.append(self.optimizer_step)

    monkeypatch.setattr(FineTuningBrain, "on_optimizer_step", counted)
    epochs = []
    again = tuning.tuned(
        store, tmp_path / "killed", advance=lambda: epochs.append(1), **changes
    )
    assert made == list(range(killed_at, 7))  # nothing is done twice
    assert len(epochs) == 3
    assert_equal(again, whole)


def test_other_settings_do_not_resume(store, tmp_path, monkeypatch):
    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(FineTuningBrain, "on_optimizer_step", killed)
        with pytest.raises(KeyboardInterrupt):
            tuning.tuned(store, tmp_path / "save")
    tuning.tuned(store, tmp_path / "save", batch_size=4)
    assert len(list((tmp_path / "save").iterdir())) == 1  # of the first


class Scripted(FineTuningBrain):
    """Validation outputs that were written down, epoch by epoch.

    First all but the last utterance are right, then only the last.
    """

    def compute_forward(self, batch, stage):
        outputs, targets = super().compute_forward(batch, stage)
        if stage.name == "VALID":
            epoch = len(self.hparams.log.history) + 1
            last = torch.tensor([n == LAST for n in batch.names])
            right = last == (epoch == 2)
            outputs = torch.where(right[:, None], 5 * targets, -5 * targets)
        return outputs, targets


LAST = tuning.FOLD.valid[-1]


def test_the_whole_validation_part_selects(store, tmp_path, monkeypatch):
    """Not its last batch, which here is one utterance."""
    monkeypatch.setattr(
        "speechbrain_e2v.downstream.finetuning.trainer.FineTuningBrain",
        Scripted,
    )
    states = []
    end = FineTuningBrain.on_stage_end

    def noted(self, stage, *args):
        end(self, stage, *args)
        if stage.name == "VALID":
            head = self.raw_modules["model"].head
            states.append({k: v.clone() for k, v in head.state_dict().items()})

    monkeypatch.setattr(FineTuningBrain, "on_stage_end", noted)
    result = tuning.tuned(store, tmp_path / "save", batch_seconds=0.1)
    scores = [entry["valid_wa"] for entry in result.history]
    assert scores == pytest.approx([200 / 3, 100 / 3])
    assert result.selection["epoch"] == 1
    for name, value in result.head.state_dict().items():
        assert torch.equal(value, states[0][name])
        assert not torch.equal(value, states[1][name])


def test_patience_ends_a_fold(store, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "speechbrain_e2v.downstream.finetuning.trainer.FineTuningBrain",
        Scripted,
    )
    epochs = []
    result = tuning.tuned(
        store, tmp_path / "save", number_of_epochs=9, patience=1,
        advance=lambda: epochs.append(1),
    )  # fmt: skip
    assert len(result.history) == 2
    assert len(epochs) == 9  # the bar of all folds is full at the end


def test_accumulation_changes_only_how_an_update_is_cut(store, tmp_path):
    quiet = {"rates": tuning.LearningRates(1e-4, 1e-4)}
    store = tuning.TunableEncoder().store(
        {},
        tuning.FrozenEncoder(
            silent_dropout(tiny_encoder(depth=2)), -1, "cpu", {"kind": "x"}
        ),
        list(store.utterances.values()),
    )
    one = tuning.tuned(store, tmp_path / "a", **quiet)
    two = tuning.tuned(
        store, tmp_path / "b", run_options={"grad_accumulation_factor": 3},
        **quiet,
    )  # fmt: skip
    assert (one.outputs - two.outputs).abs().max() < 1e-5
    for name, value in one.encoder.items():
        torch.testing.assert_close(two.encoder[name], value, atol=2e-5, rtol=0)


def silent_dropout(encoder):
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    encoder.context.layerdrop = [0.0] * len(encoder.context.layerdrop)
    return encoder


def test_batches_are_shared_out():
    sizes = {f"u{i}": 400 + 7 * i for i in range(23)}
    whole = UpdateBatches(sizes, 4, seed=5, batches_per_update=2)
    ranks = [UpdateBatches(sizes, 4, 5, rank=r, world_size=2) for r in (0, 1)]
    orders = set()
    for epoch in (1, 2):
        for batches in (whole, *ranks):
            batches.set_epoch(epoch)
        everything = [name for batch in whole for name in batch]
        assert sorted(everything) == sorted(sizes)
        assert all(len(batch) for batch in whole)
        shared = zip(*map(list, ranks), strict=True)
        assert [b for pair in shared for b in pair] == list(whole)
        assert len(whole) == 2 * len(ranks[0]) == 12
        orders.add(json.dumps(everything))
    assert len(orders) == 2
    with pytest.raises(ValueError, match="each needs an utterance"):
        UpdateBatches(sizes, 4, 5, batches_per_update=5)


def test_classes_are_drawn_equally_often():
    sizes = {f"u{i:03d}": 400 for i in range(400)}
    rare = set(list(sizes)[:40])
    weights = {n: 1 / 40 if n in rare else 1 / 360 for n in sizes}
    batches = UpdateBatches(sizes, 10, 1, weights)
    drawn = [name for batch in batches for name in batch]
    assert len(drawn) == 400
    assert 0.4 < sum(name in rare for name in drawn) / 400 < 0.6


HEADS = {
    "linear": (LinearHead, -1, 24),
    "probe": (functools.partial(FrameMLPHead, hidden=8), -1, 24),
    "weighted": (
        functools.partial(WeightedSumHead, hidden=8, num_layers=3),
        "weighted",
        72,
    ),
    "attentive": (
        functools.partial(AttentiveStatisticsHead, attention=4, hidden=8),
        -1,
        24,
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_padding_does_not_matter(kind):
    build, layer, width = HEADS[kind]
    torch.manual_seed(0)
    model = TunedEncoder(
        tiny_encoder(depth=2), layer, build(input_dim=width, n_classes=3)
    ).eval()
    clips = [torch.randn(n) for n in (9000, 8999, 5003, 400)]
    batch = waveform_batch(clips)
    together = model(batch.wav, batch.lengths)
    for row, clip in zip(together, clips, strict=True):
        alone = waveform_batch([clip])
        single = model(alone.wav, alone.lengths)[0]
        assert (single - row).abs().max() < 1e-5


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_is_trained(kind, tmp_path):
    build, layer, _ = HEADS[kind]
    store = tuning.corpus(tmp_path / "corpus", layer)
    result = tuning.tuned(
        store, tmp_path / "save", head=build, number_of_epochs=1
    )
    assert result.outputs.sum(1).tolist() == pytest.approx([1.0] * 3)


def test_attentive_pooling_of_even_weights_is_mean_and_deviation():
    head = AttentiveStatisticsHead(4, 3, attention=2).eval()
    torch.nn.init.zeros_(head.pooling.conv.conv.weight)
    frames = torch.randn(2, 6, 4)
    pooled = head.pooled(frames, torch.tensor([6, 4]))
    for row, count in zip(range(2), (6, 4), strict=True):
        real = frames[row, :count]
        expected = torch.cat([real.mean(0), real.std(0, unbiased=False)])
        assert torch.allclose(pooled[row], expected, atol=1e-6)


@pytest.mark.parametrize("kind", STEPS)
def test_augmentation_is_drawn_from_torch_alone(kind):
    clips = [torch.from_numpy(noise(n, n)) for n in (6000, 5000, 4000)]
    change = Augment(STEPS[kind], probability=0.7)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        waveforms, targets = change(clips, torch.eye(3))
        assert torch.equal(targets, torch.eye(3))
        assert all(wav.isfinite().all() for wav in waveforms)
        found.append(torch.cat(waveforms))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2]) or kind == "speed"
    assert not torch.equal(found[0], torch.cat(clips))


def test_noise_of_files(tmp_path):
    soundfile.write(tmp_path / "hum.wav", [0.1, -0.1] * 300, 16000)
    hum = NoiseFiles(str(tmp_path))
    loud = Augment(functools.partial(AddNoise, noise_funct=hum), 1.0)
    clip = torch.from_numpy(noise(2000, 1))
    [wav], _ = loud([clip], torch.eye(1))  # 0 dB: half of each
    rest = wav - clip / 2
    assert torch.allclose(rest[::2], rest[0].expand(1000), atol=1e-4)
    assert torch.allclose(rest[1::2], -rest[0].expand(1000), atol=1e-4)
    with pytest.raises(ValueError, match="no audio"):
        NoiseFiles(str(tmp_path / "nothing"))


def test_mixing_in_sequence_and_at_once():
    torch.manual_seed(3)
    clips = [torch.ones(900), -torch.ones(700)]
    mixed, targets = Mix(1.0, overlap=0.0, pause=0.0)(clips, torch.eye(2))
    assert torch.equal(mixed[0], torch.cat(clips))
    assert targets.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    mixed, _ = Mix(1.0, overlap=1.0, decibels=0.0)(clips, torch.eye(2))
    assert torch.allclose(mixed[0][:700], torch.zeros(700), atol=1e-6)
    assert torch.equal(mixed[0][700:], torch.ones(200))
    alone = Mix(1.0)(clips[:1], torch.eye(1))
    assert alone[0] == clips[:1]


def test_votes_are_dropped():
    torch.manual_seed(0)
    votes = torch.tensor([[4.0, 6.0, 0.0]]).expand(2000, -1)
    _, kept = AnnotatorDropout(0.2)([], votes)
    assert kept.mean(0).tolist() == pytest.approx([3.2, 4.8, 0.0], abs=0.1)
    single = torch.tensor([[1.0, 0.0]]).expand(200, -1)
    assert torch.equal(AnnotatorDropout(0.9)([], single)[1], single)
    with pytest.raises(ValueError, match="counts of votes"):
        AnnotatorDropout()([], torch.tensor([[0.5, 0.5]]))
