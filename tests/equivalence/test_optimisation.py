"""Schedules, EMA and optimizer equal the reference's numbers."""

import numpy as np
import torch

from speechbrain_e2v.pretraining.schedules import cosine_with_warmup, ema_decay
from speechbrain_e2v.published.emotion2vec_names import published_name


def test_ema_decay(golden):
    stored = golden("optim_ema")
    steps = stored["ema/steps"].tolist()
    ours = [ema_decay(n) for n in steps]
    np.testing.assert_allclose(ours, stored["ema/decay_emotion2vec"], 1e-12)
    ours = [ema_decay(n, anneal=75000) for n in steps]
    np.testing.assert_allclose(ours, stored["ema/decay_d2v2_base"], 1e-12)


def test_learning_rate(golden):
    stored = golden("optim_ema")
    steps = stored["lr/steps"].tolist()
    rates = stored["lr/cosine_7.5e-5_warm5000_total100000"].tolist()
    for step, rate in zip(steps, rates, strict=True):
        if step >= 100000:  # the reference starts a second period there
            continue
        ours = cosine_with_warmup(step, 7.5e-5, 5000, 100000)
        np.testing.assert_allclose(ours, rate, rtol=1e-9, atol=1e-15)


def test_ema_steps(golden, tiny_pair):
    import copy

    stored = golden("optim_ema")
    student, teacher = copy.deepcopy(tiny_pair)
    for update, used in enumerate(stored["ema_step/decays_used"], start=1):
        assert abs(ema_decay(update) - used) < 1e-12
        teacher.update(student, ema_decay(update))
    ours = {
        published_name(f"context.{name}", 2): parameter
        for name, parameter in teacher.context.named_parameters()
    }
    assert set(ours) == set(stored["ema_step/teacher_param_names"].tolist())
    compared = 0
    for name, value in stored.items():
        if name.startswith("ema_step/after2/"):
            parameter = ours[name.removeprefix("ema_step/after2/")]
            np.testing.assert_allclose(
                parameter.numpy().reshape(value.shape), value, rtol=0, atol=5e-7
            )
            compared += 1
    assert compared == 8


def test_adamw_equals_released_adam_but_for_eps(golden):
    stored = golden("optim_ema")
    p = torch.nn.Parameter(torch.from_numpy(stored["adam/p0"]))
    b = torch.nn.Parameter(torch.from_numpy(stored["adam/b0"]))
    optimizer = torch.optim.AdamW(
        [p, b], lr=7.5e-5, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01
    )
    for step in range(3):
        p.grad = torch.from_numpy(stored[f"adam/gp{step}"])
        b.grad = torch.from_numpy(stored[f"adam/gb{step}"])
        optimizer.step()
        for ours, name in ((p, "p"), (b, "b")):
            theirs = stored[f"adam/{name}{step + 1}"]
            np.testing.assert_allclose(
                ours.detach(), theirs, rtol=0, atol=1.5e-6
            )
