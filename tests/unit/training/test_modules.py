"""Frozen modules stay frozen; raw modules stay raw."""

import pytest
import torch
from unit.training.toy_brain import PlainBrain, ToyBrain, loader, toy_brain

from speechbrain_e2v.training.brain import FrozenAwareModuleDict
from speechbrain_e2v.training.optimizer_step import trainable_groups


class ModeBrain(ToyBrain):
    def compute_forward(self, batch, stage):
        self.modes = {k: m.training for k, m in self.modules.items()}
        return super().compute_forward(batch, stage)


def test_a_frozen_teacher_stays_in_eval():
    frozen = torch.nn.Linear(1, 1).requires_grad_(False)
    plain = PlainBrain({"model": frozen}, run_opts={"device": "cpu"})
    assert plain.modules.train()["model"].training
    brain = toy_brain(kind=ModeBrain)
    brain.fit(range(1), loader())
    assert brain.modes == {"student": True, "teacher": False}


def test_modules_without_parameters_and_thawed_ones_do_train():
    layer = torch.nn.Linear(1, 1).requires_grad_(False)
    augment = torch.nn.Dropout(0.5)
    modules = FrozenAwareModuleDict(
        {"layer": layer, "augment": augment}
    ).train()
    assert (layer.training, augment.training) == (False, True)
    layer.requires_grad_(True)
    modules.train()
    assert layer.training
    modules.eval()
    assert not augment.training


def test_the_optimizer_gets_trainable_parameters_only():
    model = torch.nn.Linear(1, 1)
    model.bias.requires_grad_(False)
    plain = PlainBrain(
        {"model": model}, torch.optim.SGD, run_opts={"device": "cpu"}
    )
    plain.init_optimizers()
    assert len(plain.optimizer.param_groups[0]["params"]) == 2
    brain = toy_brain()
    brain.init_optimizers()
    (group,) = brain.optimizer.param_groups
    student = list(brain.hparams.student.parameters())
    assert [id(p) for p in group["params"]] == [id(p) for p in student]


def test_vectors_without_weight_decay():
    brain = toy_brain(
        optimizer=lambda g: torch.optim.AdamW(g, weight_decay=0.1),
        remove_vector_weight_decay=True,
    )
    brain.init_optimizers()
    matrices, vectors = brain.optimizer.param_groups
    assert {p.ndim for p in matrices["params"]} == {2}
    assert {p.ndim for p in vectors["params"]} == {1}
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)


def test_nothing_to_train():
    with pytest.raises(ValueError, match="unfreeze"):
        trainable_groups(
            torch.nn.Linear(1, 1).requires_grad_(False).parameters()
        )


def test_raw_modules_are_what_was_handed_in():
    brain = toy_brain()
    student = brain.hparams.student
    brain.modules["student"] = torch.nn.Sequential(student)  # as DDP wraps
    assert brain.raw_modules["student"] is student
    assert brain.raw_modules["teacher"] is brain.hparams.teacher
