"""Once projected, no linear classifier knows a training speaker."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from unit.downstream.cross_corpus.drawn import CLASSES, corpus, store

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.cross_corpus.speaker_directions import (
    SpeakerBlindTrainer,
    without_speakers,
)
from speechbrain_e2v.downstream.cross_corpus.vectors import joined_vectors


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    given = corpus("A")
    folder = tmp_path_factory.mktemp("drawn")
    vectors = joined_vectors(
        {"A": store(folder, given)},
        {"A": [u.id for u in given.utterances]},
        "training",
    )
    rows = {f"A/{u.id}": u for u in given.utterances}
    return vectors, rows


@pytest.mark.parametrize(
    "model", [LogisticRegression(max_iter=2000), LinearDiscriminantAnalysis()]
)
def test_speakers_are_decoded_before_and_not_after(drawn, model):
    vectors, rows = drawn
    names = list(rows)
    speakers = [rows[name].spk for name in names]
    x = vectors.means(names)
    assert model.fit(x, speakers).score(x, speakers) > 0.95
    projected = without_speakers(x, speakers)(x)
    known = model.fit(projected, speakers).predict_proba(projected)
    # Equal means: what is learned is the prior, the same for everybody.
    np.testing.assert_allclose(known, 1 / 5, atol=1e-6)


def test_emotions_stay(drawn):
    vectors, rows = drawn
    names = list(rows)
    x = vectors.means(names)
    projected = without_speakers(x, [rows[n].spk for n in names])(x)
    emotions = [rows[n].emo for n in names]
    model = LogisticRegression(max_iter=2000).fit(projected, emotions)
    assert model.score(projected, emotions) > 0.8
    assert np.linalg.matrix_rank(projected) == x.shape[1] - 4


def test_only_the_training_part_decides_and_the_head_has_it(drawn):
    vectors, rows = drawn
    parts = {
        part: tuple(n for n in rows if rows[n].spk in speakers)
        for part, speakers in (
            ("train", {"s0", "s1", "s2"}), ("valid", {"s3"}), ("test", {"s4"}),
        )
    }  # fmt: skip
    truth = {n: CLASSES.index(u.emo) for n, u in rows.items()}
    known = {n: rows[n].spk for n in parts["train"]}  # of no one else
    trainer = SpeakerBlindTrainer(LogisticTrainer(), known)
    ((_, result),) = trainer.fit_all(
        vectors, truth, [(Fold("s4", **parts), 1)], 3, None, lambda: None
    )
    raw = torch.from_numpy(vectors.means(parts["test"])).unsqueeze(1)
    with torch.no_grad():
        posteriors = result.head(raw).softmax(dim=1)
    torch.testing.assert_close(posteriors, result.outputs, atol=1e-4, rtol=0)
    # Moving along a direction between training speakers changes nothing.
    x = vectors.means(parts["train"]).astype(np.float64)
    owner = np.array([known[n] for n in parts["train"]])
    move = x[owner == "s0"].mean(axis=0) - x[owner == "s1"].mean(axis=0)
    with torch.no_grad():
        moved = result.head(raw + torch.from_numpy(move).float())
    torch.testing.assert_close(
        moved.softmax(dim=1), posteriors, atol=1e-3, rtol=0
    )


def test_speakers_that_span_everything_are_told():
    x = np.random.default_rng(0).standard_normal((30, 3))
    with pytest.raises(ValueError, match="span all 3 features"):
        without_speakers(x, [str(i % 10) for i in range(30)])
