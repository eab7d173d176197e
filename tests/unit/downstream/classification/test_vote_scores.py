"""Scores against votes, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.classification.vote_scores import vote_scores


def test_by_hand():
    found = vote_scores([[3, 1], [0, 4]], [[0.5, 0.5], [0.2, 0.8]])
    log = math.log
    kl = (0.75 * log(1.5) + 0.25 * log(0.5) - log(0.8)) / 2
    assert found["kl"] == pytest.approx(kl)
    own = -(0.75 * log(0.75) + 0.25 * log(0.25)) / 2
    assert found["nll"] == pytest.approx(kl + own)
    assert found["brier"] == pytest.approx((0.125 + 0.08) / 2)

    def js(p, q):
        mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
        return sum(
            a * math.log2(a / m) / 2
            for row in (p, q)
            for a, m in zip(row, mean, strict=True)
            if a
        )

    expected = (js([0.75, 0.25], [0.5, 0.5]) + js([0, 1], [0.2, 0.8])) / 2
    assert found["js"] == pytest.approx(expected)
    assert found["entropy_correlation"] == pytest.approx(1.0)
    # First utterance: nothing predicted above 1/2, class 0 meant.
    assert found["multilabel_macro_f1"] == pytest.approx(50.0)


def test_a_share_of_one_by_c_is_not_meant():
    even = [[1, 1, 1], [1, 1, 1]]
    assert vote_scores(even, np.array(even) / 3)["multilabel_macro_f1"] is None
    found = vote_scores([[2, 2, 0]], [[0.4, 0.35, 0.25]])
    assert found["multilabel_macro_f1"] == 100.0
    assert found["entropy_correlation"] is None


def test_certain_error_is_bounded():
    assert vote_scores([[1, 0]], [[0.0, 1.0]])["kl"] < 14


def test_results_have_votes_where_there_are_some():
    run = {
        "test": ["a", "b"],
        "reference": [0, 1],
        "predicted": [0, 1],
        "posteriors": [[0.75, 0.25], [0.5, 0.5]],
    }
    targets = ClassTargets("xy", {"a": 0, "b": 1}, {"a": [3, 1]})
    found = targets.counts([run], [run, run])["votes"]
    assert (found["utterances"], found["without"]) == (1, 1)
    assert found["kl"] == pytest.approx(0, abs=1e-5)
    assert "votes" not in ClassTargets("xy").counts([run], [run])
