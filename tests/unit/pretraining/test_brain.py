"""DistillationBrain as SpeechBrain's users call it: datasets, fit_batch."""

import io

import numpy as np
import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.epoch_loop import EpochCounter
from tqdm import tqdm

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.pretraining import figures, monitor
from speechbrain_e2v.pretraining.brain import DistillationBrain
from speechbrain_e2v.pretraining.data import from_padded_batch
from speechbrain_e2v.pretraining.health_log import read_health
from speechbrain_e2v.pretraining.masking import block_masks
from speechbrain_e2v.pretraining.schedules import cosine_with_warmup, ema_decay
from speechbrain_e2v.pretraining.student import Student
from speechbrain_e2v.pretraining.teacher import EMATeacher
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

LENGTHS = (8000, 12000, 9000, 16000)


def make_brain(folder=None, checkpoints=None, noprogressbar=True, **changes):
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=48,
        num_heads=4,
        prenet_depth=1,
        depth=1,
        conv_channels=16,
        pos_conv_groups=4,
    )
    student = Student(encoder, ConvDecoder(48, 16, groups=4))
    teacher = EMATeacher(student, top_k=1)
    counter = EpochCounter(2)
    hparams = {
        "seed": 3,
        "student": student,
        "teacher": teacher,
        "draw_masks": block_masks,
        "clones": 2,
        "noise_std": 0.01,
        "frame_loss_weight": 1.0,
        "utterance_loss": "chunk",
        "utterance_loss_weight": 1.0,
        "utterance_loss_reduction": "mean",
        "frontend_lr_factor": 1.0,
        "ema_schedule": lambda update: ema_decay(update, 0.9, 0.99, 10),
        "lr_schedule": lambda update: cosine_with_warmup(update, 1e-3, 1, 50),
        "log_interval": 1,
        "max_bad_share": 0.1,
        **changes,
    }
    if folder is not None:
        hparams["output_folder"] = str(folder)
    checkpointer = None
    if checkpoints is not None:
        parts = {"student": student, "teacher": teacher, "counter": counter}
        checkpointer = AtomicCheckpointer(checkpoints, parts)
    brain = DistillationBrain(
        modules={"student": student, "teacher": teacher},
        opt_class=lambda groups: torch.optim.AdamW(groups, lr=1e-3),
        hparams=hparams,
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=checkpointer,
    )
    return brain, counter


def items():
    generator = torch.Generator().manual_seed(1)
    return {
        f"utt{i}": {"wav": 0.1 * torch.randn(length, generator=generator) + 0.3}
        for i, length in enumerate(LENGTHS)
    }


def dataset(key="wav"):
    rows = {name: {key: row["wav"]} for name, row in items().items()}
    return DynamicItemDataset(rows, output_keys=["id", key])


def weights(brain):
    return torch.cat(
        [p.detach().flatten() for p in brain.hparams.student.parameters()]
    )


@pytest.mark.parametrize("key", ["wav", "sig"])
def test_fit_takes_a_dynamic_item_dataset(tmp_path, key):
    brain, counter = make_brain(tmp_path)
    before = weights(brain)
    brain.fit(
        counter,
        dataset(key),
        dataset(key),
        train_loader_kwargs={"batch_size": 2},
        valid_loader_kwargs={"batch_size": 2},
    )
    assert brain.optimizer_step == 4
    assert not torch.equal(weights(brain), before)
    lines = read_health(tmp_path / "health.jsonl")
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert ["valid_loss" in line for line in lines] == [False, True] * 2


def test_a_dataset_resumes_from_its_checkpoint(tmp_path):
    whole, counter = make_brain(checkpoints=tmp_path / "whole")
    whole.fit(counter, dataset(), train_loader_kwargs={"batch_size": 1})
    assert whole.optimizer_step == 8
    options = {"ckpt_interval_steps": 1, "optimizer_step_limit": 3}
    half, counter = make_brain(checkpoints=tmp_path / "half", **options)
    half.fit(counter, dataset(), train_loader_kwargs={"batch_size": 1})
    assert half.optimizer_step == 3
    rest, counter = make_brain(checkpoints=tmp_path / "half")
    rest.fit(counter, dataset(), train_loader_kwargs={"batch_size": 1})
    assert rest.optimizer_step == 8
    assert torch.equal(weights(rest), weights(whole))


def test_fit_batch_before_fit_makes_an_update(tmp_path):
    brain, _ = make_brain(tmp_path)
    rows = [{"id": name, **row} for name, row in items().items()]
    before = weights(brain)
    teacher = [p.clone() for p in brain.hparams.teacher.context.parameters()]
    loss = brain.fit_batch(PaddedBatch(rows))
    brain.fit_batch(PaddedBatch(rows))
    assert torch.isfinite(loss)
    assert brain.optimizer_step == 2  # the rate of the first is 0
    assert not torch.equal(weights(brain), before)
    assert any(
        not torch.equal(old, new)
        for old, new in zip(
            teacher, brain.hparams.teacher.context.parameters(), strict=True
        )
    )


def test_waveforms_of_a_dataset_are_normalised_each_over_its_length():
    rows = [{"id": name, **row} for name, row in items().items()]
    batch = from_padded_batch(PaddedBatch(rows))
    assert batch.ids == [row["id"] for row in rows]
    assert batch.num_samples.tolist() == list(LENGTHS)
    for wav, row, length in zip(batch.wav, rows, LENGTHS, strict=True):
        raw = row["wav"].double()
        wanted = (raw - raw.mean()) / (raw.var(correction=0) + 1e-5).sqrt()
        assert (wav[:length] - wanted).abs().max() < 1e-5
        assert not wav[length:].any()


def test_a_batch_without_waveforms_is_named():
    brain, _ = make_brain()
    with pytest.raises(ValueError, match="output_keys be"):
        brain.fit_batch(PaddedBatch([{"id": "a", "text": "yes"}]))


def test_the_monitor_needs_a_folder_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    brain, counter = make_brain()
    brain.fit(counter, dataset(), train_loader_kwargs={"batch_size": 4})
    assert brain.optimizer_step == 2
    assert list(tmp_path.iterdir()) == []


def test_the_picture_is_drawn_when_training_raises(tmp_path):
    brain, counter = make_brain(tmp_path)
    step = brain.on_optimizer_step

    def failing():
        step()
        if brain.optimizer_step == 3:
            raise KeyboardInterrupt

    brain.on_optimizer_step = failing
    with pytest.raises(KeyboardInterrupt):
        brain.fit(counter, dataset(), train_loader_kwargs={"batch_size": 2})
    assert (tmp_path / "health.png").read_bytes()[1:4] == b"PNG"


def test_an_epoch_that_ends_twice_is_logged_once(tmp_path):
    from speechbrain.utils.train_logger import FileTrainLogger

    logger = FileTrainLogger(str(tmp_path / "train_log.txt"))
    for _ in range(2):
        brain, counter = make_brain(
            tmp_path, checkpoints=tmp_path / "save", train_logger=logger
        )
        brain.fit(
            counter,
            dataset(),
            dataset(),
            train_loader_kwargs={"batch_size": 2},
        )
        # No checkpoint was asked for: the second run trains it all again.
        lines = (tmp_path / "train_log.txt").read_text("utf-8").splitlines()
        assert [line.split(", lr")[0] for line in lines] == [
            "epoch: 1, update: 2",
            "epoch: 2, update: 4",
        ]


def test_the_bar_ends_with_what_this_run_does(tmp_path, monkeypatch):
    """A run of 1,900 updates that stops at 3 is done at 3."""
    bars = []

    def shown(**options):
        seen = {"disable": False, "file": io.StringIO()}
        bars.append(tqdm(**options | seen))
        return bars[-1]

    monkeypatch.setattr(monitor, "progress_bar", shown)
    limits = {"updates": 1900, "optimizer_step_limit": 3}
    brain, counter = make_brain(tmp_path, **limits)
    brain.fit(counter, dataset(), train_loader_kwargs={"batch_size": 1})
    assert [(bar.n, bar.total) for bar in bars] == [(3, 3)]


def test_figures_leave_padding_out():
    """Two utterances, one padded: the rows of each alone, no more."""
    brain, _ = make_brain(log_interval=1)
    rows = [{"id": name, **row} for name, row in items().items()][:2]
    padded = from_padded_batch(PaddedBatch(rows))
    counts = brain.hparams.student.encoder.num_frames(padded.num_samples)
    predictions = brain.compute_forward(padded, Stage.TRAIN)
    rows = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            figures, "feature_health", lambda **x: rows.update(x) or {}
        )
        brain.compute_objectives(predictions, padded, Stage.TRAIN)
        brain.figures.health_of_batch()
    assert len(rows["conv"]) == counts.sum()
    masked = 2 * (counts // 2).sum()  # of two clones
    assert len(rows["target"]) == len(rows["prediction"]) == masked
    assert len(rows["encoder"]) == 2 * counts.sum() - masked


def test_a_skipped_update_is_in_no_figure(tmp_path):
    brain, counter = make_brain(tmp_path, skip_nonfinite_grads=True)
    forward, calls = brain.compute_objectives, []

    def broken_once(*arguments):
        calls.append(1)
        loss = forward(*arguments)
        if len(calls) == 2:
            broken = dict.fromkeys(("frame", "utterance"), torch.tensor(1e9))
            brain.figures.add(broken, 10**9)
            loss = loss * float("nan")
        return loss

    brain.compute_objectives = broken_once
    brain.fit(counter, dataset(), train_loader_kwargs={"batch_size": 1})
    lines = read_health(tmp_path / "health.jsonl")
    assert lines[-1]["skipped_updates"] == 1
    assert len(lines) == 7 and max(line["loss"] for line in lines) < 1e6


def test_changed_settings_of_the_optimizer_take_effect(tmp_path):
    """Its saved state would bring the old weight decay back."""
    options = {"ckpt_interval_steps": 1, "optimizer_step_limit": 1}
    brain, counter = make_brain(checkpoints=tmp_path, **options)
    brain.fit(counter, dataset(), train_loader_kwargs={"batch_size": 4})
    other, counter = make_brain(checkpoints=tmp_path)
    other.opt_class = lambda groups: torch.optim.AdamW(
        groups, lr=1e-3, weight_decay=0.5
    )
    other.fit(counter, dataset(), train_loader_kwargs={"batch_size": 4})
    assert other.optimizer_step == 2
    assert {g["weight_decay"] for g in other.optimizer.param_groups} == {0.5}
