"""Scores of regressions by hand, and where they would be no number."""

import math

import numpy as np
import pytest

from speechbrain_e2v.downstream.regression.losses import concordance
from speechbrain_e2v.downstream.regression.metrics import (
    ccc,
    has_polarity,
    has_zero_classes,
    non_zero_classes,
    pearson,
    steps,
    target_scores,
)


def test_by_hand():
    # means 2 and 3, variances 2/3 and 8/3, covariance 4/3
    reference, predicted = [1, 2, 3], [1, 3, 5]
    assert pearson(reference, predicted) == pytest.approx(1.0)
    assert ccc(reference, predicted) == pytest.approx(
        2 * (4 / 3) / (2 / 3 + 8 / 3 + 1)
    )
    assert target_scores(reference, predicted, (1, 5))["mae"] == 1.0
    assert ccc([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)


def test_equal_to_numpy_scipy_and_the_loss():
    import torch
    from scipy.stats import pearsonr

    generator = np.random.default_rng(0)
    reference = 3 + generator.standard_normal(200)
    predicted = 0.4 * reference + generator.standard_normal(200)
    assert pearson(reference, predicted) == pytest.approx(
        pearsonr(reference, predicted)[0], abs=1e-12
    )
    columns = (torch.tensor(x)[:, None] for x in (predicted, reference))
    assert ccc(reference, predicted) == pytest.approx(
        concordance(*columns).item(), abs=1e-6
    )
    # a large offset costs no digits
    assert ccc(reference + 1e6, predicted + 1e6) == pytest.approx(
        ccc(reference, predicted), abs=1e-8
    )


@pytest.mark.parametrize(
    ("reference", "predicted"),
    [
        ([1, 2, 3], [2, 2, 2]),
        ([2, 2, 2], [1, 2, 3]),
        ([2, 2], [2, 2]),
        ([1.0], [1.5]),
        ([1, 2, 3], [0.1 + 0.2, 0.3, 0.3]),  # constant but for rounding
        ([0, 0], [0, 0]),
    ],
)
def test_constants_score_zero_without_a_warning(reference, predicted, recwarn):
    assert pearson(reference, predicted) == 0.0
    assert ccc(reference, predicted) == 0.0
    assert not recwarn.list


@pytest.mark.parametrize(
    ("reference", "predicted", "message"),
    [
        ([1, 2], [1], r"\(2,\) and \(1,\)"),
        ([], [], "no utterances"),
        ([1, 2], [1, math.nan], "`predicted` has 1 .* nan at 1"),
        ([math.inf, 2], [1, 1], "`reference` has 1 .* inf at 0"),
    ],
)
def test_refusals(reference, predicted, message):
    for score in (ccc, pearson):
        with pytest.raises(ValueError, match=message):
            score(reference, predicted)


REFERENCE = [-2.0, -0.4, 0.0, 0.0, 0.4, 3.0]
PREDICTED = [-3.4, 0.2, 0.0, -0.1, 0.6, 2.4]


def test_both_conventions_of_two_classes():
    reference, predicted = has_zero_classes(REFERENCE, PREDICTED)
    assert reference.tolist() == [0, 0, 1, 1, 1, 1]
    assert predicted.tolist() == [0, 1, 1, 0, 1, 1]
    reference, predicted, kept = non_zero_classes(REFERENCE, PREDICTED)
    assert reference.tolist() == [0, 0, 1, 1]
    assert predicted.tolist() == [0, 1, 1, 1]
    assert kept.tolist() == [True, True, False, False, True, True]
    # a prediction of exactly zero is not positive, but not negative either
    assert non_zero_classes([1.0], [0.0])[1].tolist() == [0]
    assert has_zero_classes([1.0], [0.0])[1].tolist() == [1]


def test_sentiment_scores_by_hand():
    scores = target_scores(REFERENCE, PREDICTED, (-3, 3))
    assert scores["acc2_has_zero"] == pytest.approx(100 * 4 / 6)
    assert scores["acc2_non_zero"] == 75.0
    # has zero: F1 of negative 1/2, of the rest 3/4, shares 2/6 and 4/6
    assert scores["wf1_has_zero"] == pytest.approx(100 * (1 / 6 + 1 / 2))
    # non zero: F1 of negative 2/3, of positive 4/5, shares 1/2 each
    assert scores["wf1_non_zero"] == pytest.approx(100 * (1 / 3 + 2 / 5))
    # steps -2 0 0 0 0 3 and -3 0 0 0 1 2
    assert scores["acc7"] == 50.0
    assert scores["mae"] == pytest.approx(2.9 / 6)
    assert list(scores)[-1] == "acc7"


def test_steps_clip_then_round_halves_to_even():
    values = [-7, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 7]
    found = steps(values, (-3, 3)) - 3
    assert found.tolist() == [-3, -2, -2, 0, 0, 2, 2, 3]


def test_a_scale_of_one_sign_has_no_polarity():
    assert set(target_scores([1, 5], [2, 4], (1, 5))) == {
        "ccc", "pearson", "mae",
    }  # fmt: skip
    assert not has_polarity((0, 3))


def test_no_sign_at_all():
    with pytest.raises(ValueError, match="all 2 references are zero"):
        target_scores([0, 0], [1, 2], (-3, 3))


def test_constant_prediction_of_sentiment():
    scores = target_scores(REFERENCE, [0.0] * 6, (-3, 3))
    assert scores["ccc"] == scores["pearson"] == 0.0
    assert scores["acc2_has_zero"] == pytest.approx(100 * 4 / 6)
    assert scores["acc2_non_zero"] == 50.0
    assert all(math.isfinite(value) for value in scores.values())
