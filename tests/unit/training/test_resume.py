"""Stopped anywhere, a run goes on as if nothing had happened."""

import itertools

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.dataloader import LoopedLoader, SaveableDataLoader
from torch.utils.data import DataLoader
from unit.training.toy_brain import (
    PlainBrain,
    ToyBrain,
    ToySet,
    loader,
    sampler,
    toy_brain,
    weights,
)

from speechbrain_e2v.training.loaders import check_train_loader


class Killed(Exception):
    pass


class MortalBrain(ToyBrain):
    """Dies at the start of a chosen micro-batch of this process."""

    die_at = None

    def on_fit_batch_start(self, batch, should_step):
        self.die_at -= 1
        if self.die_at < 0:
            raise Killed

    def on_stage_end(self, stage, stage_loss, epoch=None):
        self.stage_losses = [*getattr(self, "stage_losses", []), stage_loss]


def run(folder, die_at=10**9, accumulation=1, workers=0, **options):
    brain = toy_brain(
        folder,
        kind=MortalBrain,
        grad_accumulation_factor=accumulation,
        **options,
    )
    brain.die_at = die_at
    batches = loader(accumulation, workers=workers)
    try:
        brain.fit(brain.hparams.epochs, batches)
    except Killed:
        brain.die_at = None
    return brain


def micro_batches(*epochs, accumulation=1):
    """How many the epochs have together; it varies from epoch to epoch."""
    total, batches = 0, sampler(accumulation)
    for epoch in epochs:
        batches.set_epoch(epoch)
        total += len(batches)
    return total


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize(("done", "more"), [((), 3), ((1,), 3), ((1, 2), 1)])
def test_a_killed_run_ends_bit_exact(tmp_path, accumulation, done, more):
    options = {"accumulation": accumulation, "ckpt_interval_steps": 2}
    die_at = micro_batches(*done, accumulation=accumulation) + more
    whole = run(tmp_path / "whole", **options)
    killed = run(tmp_path / "killed", die_at, **options)
    assert killed.die_at is None
    resumed = run(tmp_path / "killed", **options)
    assert resumed.optimizer_step == whole.optimizer_step
    assert torch.equal(weights(resumed), weights(whole))
    # What was replayed and what followed saw the same utterances and losses.
    tail = len(resumed.seen)
    assert resumed.seen == whole.seen[-tail:]
    assert resumed.losses == whole.losses[-tail:]
    # The interrupted epoch's average includes what came before the kill.
    last = len(resumed.stage_losses)
    assert resumed.stage_losses == whole.stage_losses[-last:]


def test_workers_that_read_ahead_lose_nothing(tmp_path):
    options = {"ckpt_interval_steps": 2, "workers": 1}
    whole = run(tmp_path / "whole", **options)
    run(tmp_path / "killed", micro_batches(1) + 4, **options)
    resumed = run(tmp_path / "killed", **options)
    assert resumed.seen == whole.seen[-len(resumed.seen) :]
    assert torch.equal(weights(resumed), weights(whole))


def test_dropout_draws_depend_on_update_and_slot_alone(tmp_path):
    """Whatever consumed the global generator before does not matter."""
    first = run(tmp_path / "a")
    torch.rand(100)
    brain = toy_brain(tmp_path / "b", kind=MortalBrain)
    brain.die_at = 10**9
    torch.rand(3)
    brain.fit(brain.hparams.epochs, loader())
    assert torch.equal(weights(first), weights(brain))


def test_a_limit_is_exact_also_after_a_resumption(tmp_path):
    options = {"accumulation": 2, "ckpt_interval_steps": 2}
    limit = micro_batches(1, accumulation=2) // 2 + 2  # in the second epoch
    whole = run(tmp_path / "whole", optimizer_step_limit=limit, **options)
    assert whole.optimizer_step == limit == len(whole.updates)
    killed = run(
        tmp_path / "killed",
        2 * limit - 2,
        optimizer_step_limit=limit,
        **options,
    )
    assert killed.optimizer_step == limit - 1
    resumed = run(tmp_path / "killed", optimizer_step_limit=limit, **options)
    assert resumed.optimizer_step == limit
    assert torch.equal(weights(resumed), weights(whole))

    names = sorted(p.name for p in (tmp_path / "killed").iterdir())
    again = run(tmp_path / "killed", optimizer_step_limit=limit, **options)
    assert (again.seen, again.updates) == ([], [])
    assert not hasattr(again, "stage_losses")
    assert torch.equal(weights(again), weights(whole))
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == names


def test_the_last_update_of_a_limit_is_saved_without_intervals(tmp_path):
    first = run(tmp_path, optimizer_step_limit=2)
    again = run(tmp_path, optimizer_step_limit=2)
    assert again.seen == []
    assert torch.equal(weights(first), weights(again))


class CountingBrain(ToyBrain):
    def _save_intra_epoch_ckpt(self):
        self.saved = [*getattr(self, "saved", []), self.optimizer_step]
        super()._save_intra_epoch_ckpt()


def test_intervals_count_updates_over_epochs(tmp_path):
    options = {"grad_accumulation_factor": 2, "ckpt_interval_steps": 5}
    brain = toy_brain(tmp_path, kind=CountingBrain, **options)
    brain.fit(brain.hparams.epochs, loader(accumulation=2))
    updates = brain.optimizer_step
    epoch = micro_batches(1, accumulation=2) // 2
    assert epoch < 5 < updates, "an epoch is shorter than the interval"
    assert brain.saved == list(range(5, updates + 1, 5))


def test_intervals_in_minutes(tmp_path, monkeypatch):
    clock = itertools.count(step=20.0)
    monkeypatch.setattr(
        "speechbrain_e2v.training.brain.time.monotonic", lambda: next(clock)
    )
    options = {"grad_accumulation_factor": 2, "ckpt_interval_minutes": 1}
    brain = toy_brain(tmp_path, kind=CountingBrain, **options)
    brain.fit(range(2), loader(accumulation=2))
    assert brain.saved == list(range(3, brain.optimizer_step + 1, 3))


def test_no_checkpoint_inside_an_accumulation(tmp_path):
    brain = toy_brain(tmp_path, grad_accumulation_factor=2)
    brain.step = 3
    with pytest.raises(RuntimeError, match="micro-batch 3"):
        brain.checkpointer.save_checkpoint()


def test_an_epoch_ends_in_the_train_stage_too(tmp_path):
    """SpeechBrain's next epoch would begin at step N after a resumption."""

    class Saving(ToyBrain):
        def on_stage_end(self, stage, stage_loss, epoch=None):
            self.checkpointer.save_checkpoint()

    brain = toy_brain(tmp_path, kind=Saving)
    brain.fit([1], loader())
    resumed = toy_brain(tmp_path, kind=Saving)
    resumed.checkpointer.recover_if_possible()
    assert (resumed.step, resumed.avg_train_loss) == (0, 0.0)
    assert resumed.optimizer_step == micro_batches(1)


def test_a_test_loss_does_not_depend_on_where_the_checkpoint_stood(tmp_path):
    run(tmp_path, micro_batches(1, 2) + 3, ckpt_interval_steps=2)
    brain = toy_brain(tmp_path, kind=MortalBrain)
    average = brain.evaluate(loader())
    expected = sum_of_losses(brain) / micro_batches(0)
    assert average == pytest.approx(expected, rel=1e-5)
    assert "ckpt_prefix" not in str(ToyBrain.evaluate.__defaults__)


def sum_of_losses(brain):
    data, total = ToySet(), 0.0
    student = brain.hparams.student.eval()
    for indices in sampler():
        batch = data.collate([data[i] for i in indices])
        error = student(batch["x"]).squeeze(2) - batch["x"].sum(2)
        total += error[batch["real"]].square().mean().item()
    return total


def test_plain_evaluate_writes_into_its_default():
    plain = PlainBrain({"m": torch.nn.Linear(1, 1)}, run_opts={"device": "cpu"})
    plain.modules.model = torch.nn.Linear(1, 1)
    plain.noprogressbar = True
    try:
        plain.evaluate(torch.ones(1, 1))
        assert sb.Brain.evaluate.__defaults__[-1] == {"ckpt_prefix": None}
    finally:
        sb.Brain.evaluate.__defaults__[-1].clear()
    brain = toy_brain()
    mine = {"batch_size": None}
    brain.evaluate([ToySet().collate([ToySet()[1]])], test_loader_kwargs=mine)
    assert mine == {"batch_size": None}


def epochs_of(seen):
    """Composition of each epoch, split where the utterances begin again."""
    epochs, heard = [[]], set()
    for indices in seen:
        if heard & set(indices):
            epochs.append([])
            heard = set()
        epochs[-1].append(tuple(sorted(indices)))
        heard |= set(indices)
    return [sorted(epoch) for epoch in epochs]


@pytest.mark.parametrize("as_loader", [True, False])
def test_every_epoch_has_another_composition(as_loader):
    brain = toy_brain()
    if as_loader:
        brain.fit([1, 2, 3], loader())
    else:
        kwargs = {"batch_sampler": sampler(), "collate_fn": ToySet().collate}
        brain.fit([1, 2, 3], ToySet(), train_loader_kwargs=kwargs)
    epochs = epochs_of([indices for _, indices in brain.seen])
    assert len(epochs) == 3
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_a_plain_brain_tells_its_batch_sampler_nothing():
    class Plain(PlainBrain):
        def compute_forward(self, batch, stage):
            self.seen = [*getattr(self, "seen", []), tuple(batch["indices"])]
            return self.modules.model(batch["x"])

    plain = Plain(
        {"model": torch.nn.Linear(4, 1)},
        lambda p: torch.optim.SGD(p, lr=0.1),
        run_opts={"device": "cpu", "noprogressbar": True},
    )
    kwargs = {"batch_sampler": sampler(), "collate_fn": ToySet().collate}
    plain.fit([1, 2], ToySet(), train_loader_kwargs=kwargs)
    assert plain.train_sampler is None
    first, second = epochs_of(plain.seen)
    assert first == second


def test_left_over_micro_batches_are_refused():
    order = [[0], [1], [2], [3], [4]]
    plain = PlainBrain(
        {"model": torch.nn.Linear(1, 1)},
        lambda p: torch.optim.SGD(p, lr=0.1),
        run_opts={
            "device": "cpu",
            "noprogressbar": True,
            "grad_accumulation_factor": 2,
        },
    )
    plain.fit([1], torch.ones(5, 1))
    assert plain.optimizer_step == 2, "the fifth micro-batch is thrown away"
    brain = toy_brain(grad_accumulation_factor=2)
    with pytest.raises(ValueError, match="5 micro-batches.*last 1"):
        brain.fit([1], loader(batches=order))
    assert brain.seen == []


def test_loaders_that_cannot_resume():
    data = ToySet()
    with pytest.raises(TypeError, match="SaveableDataLoader"):
        check_train_loader(DataLoader(data), 0, 1, resumable=True)
    with pytest.raises(ValueError, match="ReproducibleRandomSampler"):
        shuffled = SaveableDataLoader(data, shuffle=True)
        check_train_loader(shuffled, 0, 1, resumable=True)
    with pytest.raises(TypeError, match="optimizer_step_limit"):
        looped = LoopedLoader(loader(), 3)
        check_train_loader(looped, 0, 1, resumable=False)


@pytest.mark.parametrize(
    ("made_for", "used_by"),
    [((0, 1), (0, 2)), ((0, 2), (1, 2)), ((0, 2), (0, 1)), (None, (0, 2))],
)
def test_shards_of_another_rank(made_for, used_by):
    batches = [[0], [1]] if made_for is None else sampler(1, *made_for)
    with pytest.raises(ValueError, match=f"rank {used_by[0]} of {used_by[1]}"):
        check_train_loader(loader(batches=batches), *used_by, resumable=False)
