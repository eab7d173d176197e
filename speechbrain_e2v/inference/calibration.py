"""How far probabilities can be believed, and one number that mends them.

Temperature scaling and the expected calibration error: Guo et al. 2017, "On
Calibration of Modern Neural Networks", sections 2 and 4.2.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import nll_loss

_RANGE = (0.2, 20.0)  # without one error on the data there is no minimum
_LOWEST = -100.0  # a class that was never trained has log 0


def expected_calibration_error(
    probabilities: torch.Tensor, labels: Sequence[int], n_bins: int = 15
) -> float:
    """Mean distance of confidence and accuracy, 0 to 1.

    Over `n_bins` bins of confidence of equal width; `probabilities` [N, C].

    >>> p = torch.tensor([[0.9, 0.1]]).repeat(10, 1)
    >>> round(expected_calibration_error(p, [0] * 7 + [1] * 3), 3)
    0.2
    """
    if not len(labels):
        raise ValueError("calibration needs at least one labelled utterance.")
    best = probabilities.double().max(dim=1)
    right = (best.indices == torch.as_tensor(labels)).double().numpy()
    confidence = best.values.numpy()
    bins = np.ceil(confidence * n_bins).clip(1, n_bins).astype(int)
    gaps = np.bincount(bins, weights=confidence - right)
    return float(np.abs(gaps).sum() / len(labels))


def fit_temperature(
    log_posteriors: torch.Tensor, labels: Sequence[int]
) -> float:
    """Find the temperature, 0.2 to 20, with the smallest cross-entropy.

    `log_posteriors` [N, C] are of held-out utterances, each row up to a
    constant. Above 1: the model was too sure of itself.

    >>> logits = torch.tensor([[4.0, 0.0]]).repeat(10, 1)
    >>> temperature = fit_temperature(logits, [0] * 8 + [1] * 2)
    >>> round(float((logits[0] / temperature).softmax(0)[0]), 3)
    0.8
    """
    logits = log_posteriors.double().clamp(min=_LOWEST)
    target = torch.as_tensor(labels)

    def loss(log_temperature: float) -> float:
        scaled = (logits / math.exp(log_temperature)).log_softmax(dim=1)
        return float(nll_loss(scaled, target))

    found = minimize_scalar(
        loss, bounds=tuple(map(math.log, _RANGE)), method="bounded"
    )
    return math.exp(found.x)


def calibrate(log_posteriors: torch.Tensor, labels: Sequence[int]) -> dict:
    """Fit a temperature and say what it changes.

    ``ece`` and ``nll`` are [before, after]; after is measured on the data of
    the fit.

    >>> logits = torch.tensor([[4.0, 0.0]]).repeat(10, 1)
    >>> report = calibrate(logits, [0] * 8 + [1] * 2)
    >>> [round(value, 3) for value in report["ece"]]
    [0.182, 0.0]
    """
    temperature = fit_temperature(log_posteriors, labels)
    logits = log_posteriors.double().clamp(min=_LOWEST)
    stages = [(logits / t).log_softmax(dim=1) for t in (1.0, temperature)]
    target = torch.as_tensor(labels)
    return {
        "temperature": temperature,
        "utterances": len(labels),
        "ece": [expected_calibration_error(s.exp(), labels) for s in stages],
        "nll": [float(nll_loss(stage, target)) for stage in stages],
    }
