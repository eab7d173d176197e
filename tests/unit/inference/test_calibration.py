"""Temperature and calibration error against their definitions."""

import math

import pytest
import torch

from speechbrain_e2v.inference.calibration import (
    calibrate,
    expected_calibration_error,
    fit_temperature,
)


def sampled(temperature, utterances=20000):
    """Logits, and labels drawn from their softmax at a temperature."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(utterances, 4)
    labels = (logits / temperature).softmax(1).multinomial(1).squeeze(1)
    return logits, labels.tolist()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_the_data_is_found(temperature):
    logits, labels = sampled(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(
        temperature, rel=0.05
    )


def test_the_error_is_that_of_a_loop_over_bins():
    logits, labels = sampled(2.0, 500)
    p = logits.softmax(1)
    expected = 0.0
    for bin_index in range(10):
        low, high = bin_index / 10, (bin_index + 1) / 10
        inside = [
            (float(row.max()), int(row.argmax()) == label)
            for row, label in zip(p, labels, strict=True)
            if low < float(row.max()) <= high
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(r for _, r in inside) / len(inside)
            expected += len(inside) / 500 * abs(confidence - accuracy)
    found = expected_calibration_error(p, labels, n_bins=10)
    assert found == pytest.approx(expected, abs=1e-6)


def test_calibration_lowers_error_and_loss():
    report = calibrate(*sampled(3.0))
    assert report["ece"][1] < 0.02 < 0.1 < report["ece"][0]
    assert report["nll"][1] < report["nll"][0]


def test_data_without_an_error_give_no_absurd_certainty():
    logits = torch.eye(3)
    assert fit_temperature(logits, [0, 1, 2]) >= 0.2


def test_a_class_that_was_never_trained_is_no_obstacle():
    logits = torch.tensor([[0.0, 1.0, -math.inf]] * 4)
    report = calibrate(logits, [1, 1, 0, 2])
    assert all(map(math.isfinite, report["nll"]))


def test_nothing_cannot_be_measured():
    with pytest.raises(ValueError, match="at least one"):
        expected_calibration_error(torch.zeros(0, 3), [])


def test_the_upper_edge_belongs_to_a_bin():
    # 0.5 and 0.45 lie in (0.4, 0.5]: their deviations cancel. Bins closed at
    # the other end would part them and find 0.475.
    p = torch.tensor([[0.5, 0.3, 0.2], [0.45, 0.3, 0.25]]).double()
    found = expected_calibration_error(p, [0, 1], n_bins=10)
    assert found == pytest.approx(0.025, abs=1e-7)
