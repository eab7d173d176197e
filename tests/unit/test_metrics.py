"""Scores against the reference, naive loops and explicit resampling."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from speechbrain_e2v.metrics import (
    SCORES,
    all_scores,
    confusion_matrix,
    fold_spread,
    scores_of_confusions,
    speaker_intervals,
)


def labels(seed, size=60, n_classes=4):
    generator = np.random.default_rng(seed)
    reference = generator.integers(n_classes, size=size)
    wrong = generator.integers(n_classes, size=size)
    return reference, np.where(generator.random(size) < 0.6, reference, wrong)


def naive(reference, predicted):
    pairs = list(zip(reference, predicted, strict=True))
    recalls, f1s, weights = [], [], []
    for c in sorted(set(reference)):
        hits = sum(
            r == p == c for r, p in zip(reference, predicted, strict=True)
        )
        support = sum(r == c for r in reference)
        chosen = sum(p == c for p in predicted)
        recalls.append(hits / support)
        precision = hits / chosen if chosen else 0.0
        total = precision + recalls[-1]
        f1s.append(2 * precision * recalls[-1] / total if total else 0.0)
        weights.append(support / len(reference))
    correct = sum(r == p for r, p in pairs)
    return {
        "wa": 100 * correct / len(reference),
        "ua": 100 * sum(recalls) / len(recalls),
        "wf1": 100 * sum(f * w for f, w in zip(f1s, weights, strict=True)),
        "macro_f1": 100 * sum(f1s) / len(f1s),
    }


def test_scores_equal_the_reference(golden):
    vectors = golden("downstream")
    scores = all_scores(vectors["metrics/labels"], vectors["metrics/preds"])
    assert [scores[n] for n in ("wa", "ua", "wf1")] == pytest.approx(
        vectors["metrics/WA_UA_WF1_percent"], abs=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_a_naive_loop(seed):
    reference, predicted = labels(seed)
    expected = naive(reference.tolist(), predicted.tolist())
    scores = all_scores(reference, predicted)
    assert {n: scores[n] for n in SCORES} == pytest.approx(expected)


def test_a_class_without_reference_has_no_recall():
    reference, predicted = [0, 0, 2, 2], [0, 1, 2, 2]
    scores = all_scores(reference, predicted)
    assert scores["ua"] == 75.0  # not 50: class 1 is not in the reference
    assert scores["n_classes_scored"] == 2
    expected = naive(reference, predicted)
    assert scores["macro_f1"] == pytest.approx(expected["macro_f1"])


def test_confusion_counts_and_keeps_absent_classes():
    reference, predicted = labels(3, n_classes=3)
    confusion = confusion_matrix(reference, predicted, 5)
    assert confusion.shape == (5, 5)
    for i in range(5):
        for j in range(5):
            assert confusion[i, j] == np.sum(
                (reference == i) & (predicted == j)
            )


def test_scores_of_confusions_equal_scores_of_predictions():
    pairs = [labels(seed, size=9, n_classes=3) for seed in range(40)]
    found = scores_of_confusions(
        np.stack([confusion_matrix(*pair, 4) for pair in pairs])
    )
    for i, pair in enumerate(pairs):
        expected = all_scores(*pair)
        for name in SCORES:
            assert found[name][i] == pytest.approx(expected[name])


def test_intervals_equal_explicit_resampling_of_speakers():
    reference, predicted = labels(7)
    speakers = np.array([f"s{i % 5}" for i in range(len(reference))])
    found = speaker_intervals(
        reference, predicted, speakers, n_classes=4, draws=50, seed=2
    )
    names = sorted(set(speakers))

    def statistic(drawn, axis):
        scores = []
        for draw in drawn:
            chosen = np.concatenate(
                [np.flatnonzero(speakers == names[place]) for place in draw]
            )
            pair = reference[chosen], predicted[chosen]
            scores.append(all_scores(*pair)["ua"])
        return np.array(scores)

    expected = bootstrap(
        (np.arange(5),),
        statistic,
        n_resamples=50,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found["ua"] == pytest.approx(list(expected))


def test_one_speaker_has_no_interval():
    assert speaker_intervals([0, 1], [0, 1], ["a", "a"], 2) is None


def test_fold_spread():
    spread = fold_spread([50.0, 60.0, 70.0])
    assert spread == {"mean": 60.0, "sd": 10.0, "min": 50.0, "max": 70.0}
    assert fold_spread([50.0])["sd"] == 0.0


@pytest.mark.parametrize("pair", [([], []), ([0, 1], [0]), ([[0]], [[0]])])
def test_bad_input_is_refused(pair):
    with pytest.raises(ValueError, match="utterances|equal length"):
        all_scores(*pair)
