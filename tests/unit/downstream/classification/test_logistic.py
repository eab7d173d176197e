"""The logistic regression against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import (
    LogisticTrainer,
    linear_head,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features


def fitted(classes, seed=0):
    generator = np.random.default_rng(seed)
    y = np.resize(classes, 50)
    x = generator.normal(size=(50, 4)) * [1, 10, 0.1, 1] + y[:, None]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(x, y), x


@pytest.mark.parametrize("classes", [[0, 1, 2], [0, 1], [1, 3], [0, 2, 3]])
def test_linear_head_equals_scikit_learn(classes):
    model, x = fitted(classes)
    head = linear_head(model, input_dim=4, n_classes=4)
    with torch.no_grad():
        vectors = torch.from_numpy(x).float().unsqueeze(1)
        found = head(vectors).softmax(dim=1).numpy()
    expected = np.zeros((50, 4))
    expected[:, classes] = model.predict_proba(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_penalty_is_chosen_on_validation_only(tmp_path):
    torch.manual_seed(0)
    names = [f"u{i:02d}" for i in range(60)]
    labels = {name: i % 2 for i, name in enumerate(names)}
    store = FeatureStore(
        write_features(
            tmp_path / "store",
            [(n, torch.randn(4, 30) + 0.3 * labels[n]) for n in names],
        )
    )
    fold = Fold("x", tuple(names[:30]), tuple(names[30:45]), tuple(names[45:]))
    penalties = [1e-4, 1e-2, 1.0, 100.0]
    outcome = LogisticTrainer(penalties).fit(
        store, labels, fold, 2, 1, None, lambda: None
    )

    def part(ids):
        x = np.stack([store.utterance(n).mean(0) for n in ids])
        return x, np.array([labels[n] for n in ids])

    scores = []
    for penalty in penalties:
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=penalty, max_iter=2000)
        ).fit(*part(fold.train))
        scores.append(model.score(*part(fold.valid)))
    best = penalties[int(np.argmax(scores))]  # the first of several
    assert outcome.selection["C"] == best
    assert outcome.selection["valid_wa"] == pytest.approx(100 * max(scores))
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=best, max_iter=2000)
    ).fit(*part(fold.train))
    np.testing.assert_allclose(
        outcome.outputs.numpy(),
        model.predict_proba(part(fold.test)[0]),
        atol=1e-4,
    )


def test_a_training_part_of_one_class_is_named():
    fold = Fold("speaker 03", ("a", "b"), ("c",), ("c",))
    labels = {"a": 1, "b": 1, "c": 0}

    class Store:
        dim = 2

        def means(self, names):
            return np.ones((len(names), 2), dtype=np.float32)

    with pytest.raises(ValueError, match="speaker 03: all 2 utterances that"):
        LogisticTrainer().fit(Store(), labels, fold, 2, 1, None, lambda: None)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"inverse_penalties is \[0\]"):
        LogisticTrainer([0])
