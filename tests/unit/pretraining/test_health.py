"""Figures equal their definitions; a collapse stops the run with advice."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from speechbrain_e2v.pretraining.health import (
    CollapseError,
    CollapseThresholds,
    channel_std,
    check_collapse,
    effective_rank,
    feature_health,
    teacher_distance,
    utterance_spread,
)
from speechbrain_e2v.pretraining.targets import UtteranceTarget, frame_targets


def naive_rank(x):
    singular = np.linalg.svd(np.asarray(x, dtype=np.float64))[1]
    entropy = 0.0
    for value in singular / singular.sum():
        if value > 0:
            entropy -= value * math.log(value)
    return math.exp(entropy)


def test_effective_rank_equals_a_naive_loop():
    torch.manual_seed(0)
    x = torch.randn(60, 5) @ torch.randn(5, 20) + torch.randn(20)
    assert effective_rank(x) == pytest.approx(naive_rank(x), rel=1e-4)


def test_effective_rank_of_known_matrices():
    orthogonal = torch.linalg.qr(torch.randn(9, 9)).Q
    assert effective_rank(orthogonal) == pytest.approx(9.0, rel=1e-4)
    assert effective_rank(torch.zeros(4, 3)) == 0.0
    assert math.isnan(effective_rank(torch.full((4, 3), math.inf)))
    alike = torch.ones(100, 32) + 1e-4 * torch.randn(100, 32)
    assert effective_rank(alike) < 1.1


def test_effective_rank_thins_evenly():
    x = torch.randn(2500, 6)
    assert effective_rank(x) == effective_rank(x[::3])
    assert effective_rank(x, max_rows=2500) != effective_rank(x)


def test_spreads_equal_numpy():
    x = torch.randn(50, 7) * 3
    expected = x.double().numpy().std(axis=0)
    np.testing.assert_allclose(channel_std(x).numpy(), expected, rtol=1e-5)
    assert utterance_spread(x) == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "differs"), [("released", False), ("raw", True)]
)
def test_the_released_utterance_target_does_not_differ(kind, differs):
    torch.manual_seed(0)
    outputs, mlps = (
        [torch.randn(4, 30, 16) + torch.randn(4, 1, 16) for _ in range(2)]
        for _ in range(2)
    )
    target = UtteranceTarget(16, kind)(
        outputs, mlps, frame_targets(mlps, None), None
    )
    spread = utterance_spread(target)
    assert (spread > 0.1) if differs else (spread < 1e-6)


def test_teacher_distance_over_all_parameters():
    student = [torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]
    teacher = [torch.tensor([3.0]), torch.tensor([[1.0, 2.0]])]
    expected = math.sqrt(5) / 5
    assert teacher_distance(student, teacher) == pytest.approx(expected)
    assert teacher_distance(student, student) == 0.0


ALIVE = {
    "std_target": 0.5,
    "std_prediction": 0.2,
    "std_conv": 0.3,
    "rank_conv": 40.0,
    "rank_target": 30.0,
}


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("std_target", 0.09, "tau"),
        ("std_prediction", 0.001, "clones"),
        ("std_conv", 0.0, "Local features"),
        ("rank_conv", 1.01, "warm-up"),
        ("rank_target", 1.5, "lower lr"),
        ("std_target", math.nan, "nan"),
    ],
)
def test_collapse_names_figure_threshold_and_advice(name, value, advice):
    thresholds = CollapseThresholds(after_updates=100)
    figures = {**ALIVE, name: value}
    check_collapse(ALIVE, 101, thresholds)
    check_collapse(figures, 100, thresholds)
    with pytest.raises(CollapseError) as caught:
        check_collapse(figures, 101, thresholds)
    text = str(caught.value)
    limit = getattr(thresholds, name)
    assert f"{name} = {value:.4g}, below {limit:g}" in text
    assert "update 101" in text
    assert advice in text
    off = dataclasses.replace(thresholds, **{name: None})
    check_collapse(figures, 101, off)


def test_a_missing_figure_is_no_pass():
    figures = dict(ALIVE)
    del figures["rank_conv"]
    with pytest.raises(KeyError, match="rank_conv"):
        check_collapse(figures, 10, CollapseThresholds(after_updates=0))


def test_local_collapse_with_living_targets():
    """Targets that vary with position alone pass the released code's check."""
    torch.manual_seed(0)
    conv = torch.randn(1, 32) + 1e-3 * torch.randn(500, 32)
    figures = feature_health(
        conv=conv,
        prediction=torch.randn(500, 32),
        target=torch.randn(500, 32),
    )
    thresholds = CollapseThresholds(after_updates=0, std_conv=None)
    with pytest.raises(CollapseError, match="rank_conv"):
        check_collapse(figures, 1, thresholds)
    blind = dataclasses.replace(thresholds, rank_conv=None)
    check_collapse(figures, 1, blind)
