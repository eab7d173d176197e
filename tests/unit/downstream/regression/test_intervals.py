"""Intervals over speakers: each draw is what repeating utterances gives."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from speechbrain_e2v.downstream.regression.intervals import rating_intervals
from speechbrain_e2v.downstream.regression.metrics import target_scores
from speechbrain_e2v.downstream.regression.targets import RatingTargets
from speechbrain_e2v.downstream.results import summarise

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


def naive(draws, seed, score, owner):
    """scipy's own bootstrap of a score of the utterances of drawn speakers."""

    def statistic(drawn, axis):
        rows = [np.flatnonzero(owner == speaker) for speaker in range(5)]
        return np.array(
            [score(np.concatenate([rows[s] for s in draw])) for draw in drawn]
        )

    return bootstrap(
        (np.arange(5),),
        statistic,
        n_resamples=draws,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval


def test_intervals_are_of_repeated_utterances(rated):
    reference, predicted, owner = rated
    speakers = [f"s{i}" for i in owner]
    offset = 100.0  # loses no digits
    for scale, shift in ((SCALE, 0.0), ((1, 5), offset)):
        a, b = reference + shift, predicted + shift
        found = rating_intervals(
            a[:, None], b[:, None], speakers, {"x": scale}, 50
        )
        for name in target_scores(a, b, scale):
            expected = naive(
                50,
                0,
                lambda rows, a=a, b=b, s=scale, n=name: target_scores(
                    a[rows], b[rows], s
                )[n],
                owner,
            )
            assert found[f"{name}_x"] == pytest.approx(
                list(expected), abs=1e-9
            ), name
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
    found = summarise(runs, RatingTargets({"x": SCALE}), speakers)
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
