"""Gradient normalisation, clipping, skipping and the learning rate."""

import pytest
import torch
from unit.training.toy_brain import (
    PlainBrain,
    ToyBrain,
    ToySet,
    loader,
    sampler,
    toy_brain,
    weights,
)

from speechbrain_e2v.training.brain import E2VBrain
from speechbrain_e2v.training.optimizer_step import (
    SCALER_SEARCH,
    OptimizerStep,
    scale_and_clip,
)
from speechbrain_e2v.training.seeding import stable_hash

NO_SCALER = torch.GradScaler(enabled=False)


def plain_sgd(groups):
    return torch.optim.SGD(groups, lr=0.1)


def naive_update(brain, batches, learning_rate=0.1):
    """One gradient step on the mean over all targets of all batches."""
    student = brain.hparams.student
    sums, count = 0.0, 0
    for batch in batches:
        output = student(batch["x"]).squeeze(2)
        error = (output - batch["x"].sum(2)).square()
        sums = sums + error[batch["real"]].sum()
        count += int(batch["real"].sum())
    gradients = torch.autograd.grad(sums / count, list(student.parameters()))
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    with torch.no_grad():
        for parameter, gradient in zip(
            student.parameters(), gradients, strict=True
        ):
            parameter -= learning_rate * gradient
    return norm, count


@pytest.mark.parametrize("empty", [(), (0, 3, 7, 11), range(20)])
def test_accumulated_gradient_is_the_mean_over_all_targets(empty):
    """Batches of different sizes; some, or all, without any target."""
    # Sort batches so that whole micro-batches are empty.
    order = [[0, 3], [7, 11, 0], [1], [2, 4, 5, 6], [8, 9], [10, 12, 3]]
    options = {
        "dropout": 0.0,
        "optimizer": plain_sgd,
        "max_grad_norm": ".inf",
        "grad_accumulation_factor": 2,
        "nonfinite_patience": 9,
    }
    brain = toy_brain(**options)
    brain.fit(range(1), loader(batches=order, empty=empty))
    expected = toy_brain(**options)
    data = ToySet(empty)
    norms, counts = [], []
    for update in (0, 2, 4):
        pair = [data.collate([data[i] for i in b]) for b in order[update:][:2]]
        if any(batch["real"].any() for batch in pair):
            norm, count = naive_update(expected, pair)
            norms.append(norm.item())
            counts.append(count)
    student = expected.hparams.student.state_dict()
    for name, value in brain.hparams.student.state_dict().items():
        torch.testing.assert_close(value, student[name], rtol=1e-5, atol=1e-7)
    assert brain.optimizer_step == len(norms)
    assert brain.skipped_steps == 3 - len(norms)
    if norms:
        assert brain.grad_norm == pytest.approx(norms[-1], rel=1e-5)
        assert brain.update_targets == counts[-1]


def test_loss_values_stay_means():
    brain = toy_brain(grad_accumulation_factor=2)
    brain.fit(range(1), loader(accumulation=2))
    expected = toy_brain(grad_accumulation_factor=2)
    first = next(iter(loader(accumulation=2)))
    torch.manual_seed(stable_hash(7, 0, 0))
    output = expected.hparams.student(first["x"]).squeeze(2)
    error = (output - first["x"].sum(2)).square()
    mean = error[first["real"]].mean().item()
    assert brain.losses[0] == pytest.approx(mean, rel=1e-6)


def test_an_empty_micro_batch_leaves_the_running_average():
    step = OptimizerStep("cpu", NO_SCALER, 1, max_norm=1.0, patience=0)
    weight = torch.tensor(2.0, requires_grad=True)
    step.count(0)
    loss = step.weighted(weight * 3, 0, value_if_empty=1.25)
    loss.backward()
    assert loss.item() == 1.25
    assert weight.grad.item() == 0.0


class UncountedBrain(ToyBrain):
    def compute_objectives(self, predictions, batch, stage):
        return predictions.square().mean()


def test_without_counts_the_gradient_is_the_mean_over_micro_batches():
    order = [[0, 1, 2], [3]]
    brain = toy_brain(
        kind=UncountedBrain,
        optimizer=plain_sgd,
        dropout=0.0,
        max_grad_norm=".inf",
        grad_accumulation_factor=2,
    )
    student = toy_brain(dropout=0.0).hparams.student
    data = ToySet()
    batches = [data.collate([data[i] for i in indices]) for indices in order]
    means = [student(batch["x"]).square().mean() for batch in batches]
    (sum(means) / 2).backward()
    brain.fit(range(1), loader(batches=order))
    for ours, naive in zip(
        brain.hparams.student.parameters(), student.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, naive - 0.1 * naive.grad)


def test_unpaired_calls_are_an_error():
    step = OptimizerStep("cpu", NO_SCALER, 1, max_norm=1.0, patience=0)
    step.count(4)
    with pytest.raises(RuntimeError, match="0 times.*1 times"):
        step.make([], number=1)


def test_validation_counts_nothing():
    brain = toy_brain()
    brain.fit(range(1), loader(), valid_set=loader())
    assert brain._update.total_targets().item() == 0
    assert any("VALID" in stage for stage, _ in brain.seen)


def two_groups(modules):
    weight, bias = modules.parameters()
    return torch.optim.SGD([{"params": [bias]}, {"params": [weight]}], lr=1.0)


class ClippedBrain(E2VBrain):
    compute_forward = PlainBrain.compute_forward
    compute_objectives = PlainBrain.compute_objectives


def test_all_groups_are_clipped_together():
    def distance_moved(kind):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 4)
        brain = kind(
            {"model": model},
            lambda _: two_groups(model),
            {"seed": 1},
            {"device": "cpu", "noprogressbar": True, "max_grad_norm": 1.0},
        )
        before = [p.detach().clone() for p in model.parameters()]
        kwargs = {"batch_size": None}
        brain.fit(range(1), 100 * torch.ones(1, 2, 4), None, None, kwargs)
        moved = [
            (p.detach() - b).flatten()
            for p, b in zip(model.parameters(), before, strict=True)
        ]
        return torch.cat(moved).norm().item()

    assert distance_moved(PlainBrain) > 100
    assert distance_moved(ClippedBrain) == pytest.approx(1.0, rel=1e-4)


def test_clipping_equals_torch():
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(n, 3)) for n in (2, 5)]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter) * 10
    ours = [p.grad.clone() for p in parameters]
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.7)
    torch.testing.assert_close(scale_and_clip(ours, 1.0, 0.7), norm)
    for gradient, parameter in zip(ours, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_a_small_gradient_is_not_stretched():
    gradient = torch.tensor([0.3])
    scale_and_clip([gradient], 1.0, float("inf"))
    assert gradient.item() == pytest.approx(0.3)


def test_negative_norm_reverses_the_plain_gradient():
    """Why run_options.py refuses what SpeechBrain's help text advises."""

    def last_loss(norm):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 1)
        brain = PlainBrain(
            {"model": model},
            plain_sgd,
            {},
            {"device": "cpu", "noprogressbar": True, "max_grad_norm": norm},
        )
        data = torch.randn(16, 4)
        before = model(data).square().mean().item()
        brain.fit(range(1), data, train_loader_kwargs={"batch_size": 16})
        return before, model(data).square().mean().item()

    before, after = last_loss(-1.0)
    assert after > before
    before, after = last_loss(0.0)
    assert after == before
    before, after = last_loss(1.0)
    assert after < before


class PoisonedBrain(ToyBrain):
    """Yields a loss whose gradient is not finite, in chosen micro-batches."""

    poison = ()

    def compute_objectives(self, predictions, batch, stage):
        loss = super().compute_objectives(predictions, batch, stage)
        if len(self.seen) in self.poison:
            loss = loss + (predictions.sum() * 0).sqrt()  # 0, gradient nan
        return loss


def poisoned(poison, **options):
    brain = toy_brain(
        kind=PoisonedBrain, optimizer=plain_sgd, dropout=0.0, **options
    )
    brain.poison = poison
    return brain


def test_plain_steps_into_nan():
    class Poisoned(PlainBrain):
        def compute_objectives(self, predictions, batch, stage):
            return (predictions.sum() * 0).sqrt()

    model = torch.nn.Linear(4, 1)
    run_opts = {"device": "cpu", "noprogressbar": True}
    brain = Poisoned({"model": model}, plain_sgd, {}, run_opts)
    brain.fit(range(1), torch.ones(2, 4), train_loader_kwargs={})
    assert model.weight.isnan().all()
    assert brain.optimizer_step == 2


def test_a_nonfinite_gradient_is_an_error_by_default():
    brain = poisoned([2])
    with pytest.raises(FloatingPointError, match="Update 2: .*nan.*skip_non"):
        brain.fit(range(1), loader())
    assert weights(brain).isfinite().all()
    assert brain.optimizer_step == 1


def test_a_nonfinite_gradient_is_skipped_whole_on_request():
    order = list(sampler())
    brain = poisoned([2], skip_nonfinite_grads=True)
    brain.fit(range(1), loader(batches=order))
    without = toy_brain(optimizer=plain_sgd, dropout=0.0)
    without.fit(range(1), loader(batches=order[:1] + order[2:]))
    torch.testing.assert_close(weights(brain), weights(without))
    assert brain.skipped_steps == 1
    steps = [step for step, _ in brain.updates]
    assert steps == list(range(1, len(order)))


def test_patience_with_skipped_updates():
    brain = poisoned(range(100), skip_nonfinite_grads=True)
    brain.nonfinite_patience = 3
    with pytest.raises(FloatingPointError, match="4 times in a row.*3 are"):
        brain.fit(range(2), loader())
    assert brain.optimizer_step == 0


def test_learning_rate_is_that_of_the_updates_made():
    schedule = [0.5, 0.25, 0.125, 0.0625, 0.03, 0.02, 0.01, 0.005]
    brain = poisoned(
        [2],
        skip_nonfinite_grads=True,
        hparams={"lr_schedule": schedule.__getitem__},
        optimizer_step_limit=4,
    )
    brain.fit(range(2), loader())
    assert brain.updates == [(1, 0.5), (2, 0.25), (3, 0.125), (4, 0.0625)]
    assert brain.optimizer.param_groups[0]["lr"] == 0.0625


def test_grad_scaler_skips_and_steps():
    scaler = torch.GradScaler("cpu", init_scale=8.0, growth_interval=100)
    step = OptimizerStep("cpu", scaler, 1, max_norm=1.0, patience=0)
    weight = torch.tensor([1.0], requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    made = []
    for gradient in (float("inf"), 0.5, 3.0):
        optimizer.zero_grad()
        scaler.scale(weight * gradient).backward()
        made.append(step.make([optimizer], number=1))
    assert made == [False, True, True]
    assert step.grad_norm == pytest.approx(3.0)
    assert scaler.get_scale() == 4.0
    assert weight.item() == pytest.approx(1.0 - 0.5 - 1.0, abs=1e-5)
    assert (step.skipped, step.skipped_in_a_row) == (1, 0)
    assert step.patience == SCALER_SEARCH
