"""Floors: what is predicted without hearing anything."""

import numpy as np
import pytest
import torch

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.classification.trivial import TrivialTrainer
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.downstream.results import summarise
from speechbrain_e2v.downstream.upstreams.no_features import NoFeatures
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features

# 600 utterances: 60 %, 30 %, 10 %, and a class that training has not.
NAMES = [f"u{i:03d}" for i in range(600)]
LABELS = {n: 0 if i % 10 < 6 else 1 if i % 10 < 9 else 2
          for i, n in enumerate(NAMES)}  # fmt: skip
FOLD = Fold("x", tuple(NAMES[:300]), (), tuple(NAMES[300:]))


def outputs(kind, seed=1):
    return (
        TrivialTrainer(kind)
        .fit(None, LABELS, FOLD, 4, seed, None, lambda: None)
        .outputs
    )


def test_constant_is_the_most_frequent_class_of_training():
    expected = torch.zeros(300, 4)
    expected[:, 0] = 1
    assert torch.equal(outputs("constant"), expected)


def test_prior_draws_as_often_as_training_has():
    shares = torch.stack([outputs("prior", s).mean(0) for s in range(20)])
    assert np.allclose(shares.mean(0), [0.6, 0.3, 0.1, 0.0], atol=0.03)
    assert torch.equal(outputs("prior"), outputs("prior"))
    assert not torch.equal(outputs("prior"), outputs("prior", seed=2))


@pytest.mark.parametrize("kind", ["constant", "prior"])
def test_scores_are_of_chance(kind, tmp_path):
    features = NoFeatures().extract([torch.ones(400)] * len(NAMES))
    rows = [(n, x[None]) for n, x in zip(NAMES, features, strict=True)]
    store = FeatureStore(write_features(tmp_path / "store", rows))
    targets = ClassTargets(("a", "b", "c", "d"), LABELS)
    runs = cross_validate(
        TrivialTrainer(kind), store, targets, [FOLD], [1, 2, 3],
        tmp_path / "out", NoFeatures().description, progress=False,
    )  # fmt: skip
    scores = summarise(runs, targets, {})["headline"]["scores"]
    # one class of three that are tested; sum of squared shares
    assert scores["ua"] == pytest.approx(100 / 3, abs=6)
    wa = {"constant": 60, "prior": 36 + 9 + 1}[kind]
    assert scores["wa"] == pytest.approx(wa, abs=0 if kind == "constant" else 6)


def test_another_kind():
    with pytest.raises(ValueError, match="kind is 'chance'; there are"):
        TrivialTrainer("chance")
