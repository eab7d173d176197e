"""Intervals over speakers: each draw is what repeating utterances gives."""

import numpy as np
import pytest

from speechbrain_e2v.downstream.regression.intervals import (
    drawn_scores,
    rating_intervals,
)
from speechbrain_e2v.downstream.regression.results import summarise_ratings
from speechbrain_e2v.downstream.regression.sentiment_metrics import (
    target_scores,
)

SCALE = (-3, 3)


@pytest.fixture
def rated():
    generator = np.random.default_rng(3)
    owner = generator.integers(5, size=60)
    reference = np.round(generator.uniform(-3, 3, 60), 1)
    predicted = 0.4 * reference + 0.3 * owner + generator.normal(size=60)
    return reference, predicted, owner


def repeated(values, owner, times):
    return np.concatenate(
        [np.tile(values[owner == s], n) for s, n in enumerate(times)]
    )


def test_a_draw_is_repeating_utterances(rated):
    reference, predicted, owner = rated
    times = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), size=20)
    found = drawn_scores(reference + 100, predicted + 100, owner, times)
    for i, row in enumerate(times):
        pair = [repeated(x, owner, row) for x in (reference, predicted)]
        expected = target_scores(*pair, (1, 5))
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-9)


def test_intervals_by_a_naive_loop(rated):
    reference, predicted, owner = rated
    speakers = [f"s{i}" for i in owner]
    found = rating_intervals(
        reference[:, None], predicted[:, None], speakers, {"x": SCALE}, 50
    )
    times = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), size=50)
    drawn = []
    for row in times:
        pair = [repeated(x, owner, row) for x in (reference, predicted)]
        drawn.append(target_scores(*pair, SCALE))
    for name in drawn[0]:
        expected = np.percentile([d[name] for d in drawn], (2.5, 97.5))
        assert found[f"{name}_x"] == pytest.approx(expected, abs=1e-9), name
    assert found["ccc"] == found["ccc_x"]


def test_one_speaker_has_no_interval(rated):
    reference, predicted, _ = rated
    values = reference[:, None], predicted[:, None]
    assert rating_intervals(*values, ["a"] * 60, {"x": SCALE}) is None


def test_pooled_is_of_all_folds_and_the_mean_of_seeds(rated):
    reference, predicted, owner = rated
    runs = []
    for seed in (1, 2):
        for fold, part in enumerate((slice(0, 20), slice(20, 60))):
            values = predicted[part] + 0.1 * seed
            runs.append(
                {
                    "fold": str(fold),
                    "seed": seed,
                    "test": [f"u{i}" for i in range(60)][part],
                    "reference": reference[part, None].tolist(),
                    "predicted": values[:, None].tolist(),
                }
            )
    speakers = {f"u{i}": f"s{s}" for i, s in enumerate(owner)}
    found = summarise_ratings(runs, {"x": SCALE}, speakers)
    each = [target_scores(reference, predicted + a, SCALE) for a in (0.1, 0.2)]
    for name in each[0]:
        expected = (each[0][name] + each[1][name]) / 2
        assert found["pooled"][f"{name}_x"] == pytest.approx(expected)
    assert found["seed_spread"]["mae"]["max"] == pytest.approx(
        max(scores["mae"] for scores in each)
    )
    assert found["n_tested"] == 60 and found["n_predictions"] == 120
    low, high = found["interval95"]["ccc"]
    assert low < found["pooled"]["ccc"] < high
    assert found["references"]["x"]["sd"] == pytest.approx(reference.std())
