"""Votes as targets: a better distribution where annotators disagree."""

import numpy as np
import pytest
import torch

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.classification.vote_logistic import (
    VoteLogisticTrainer,
)
from speechbrain_e2v.downstream.classification.vote_scores import vote_scores
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features

CLASSES, ANNOTATORS = 3, 5


def annotated(folder, agreement, seed):
    """Utterances whose annotators draw labels, the more alike the more."""
    generator = np.random.default_rng(seed)
    names = [f"u{i:03d}" for i in range(300)]
    x = generator.normal(size=(len(names), 4)).astype("float32")
    logits = agreement * (x @ generator.normal(size=(4, CLASSES)))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    votes = generator.multinomial(ANNOTATORS, p)
    if agreement > 100:  # the last doubt
        votes = ANNOTATORS * np.eye(CLASSES, dtype=int)[votes.argmax(axis=1)]
    store = FeatureStore(
        write_features(
            folder,
            [(n, torch.from_numpy(x[i : i + 1])) for i, n in enumerate(names)],
        )
    )
    fold = Fold("x", *(tuple(names[i : i + 100]) for i in (0, 100, 200)))
    truth = {
        name: (int(np.argmax(row)), row.tolist())
        for name, row in zip(names, votes, strict=True)
    }
    return store, fold, truth


def both(folder, agreement, seed):
    """Scores of regressions on majority labels and on votes."""
    store, fold, votes = annotated(folder, agreement, seed)
    hard = {name: label for name, (label, _) in votes.items()}
    tested = [votes[name][1] for name in fold.test]
    return [
        vote_scores(
            tested,
            trainer.fit(
                store, truth, fold, CLASSES, 1, None, lambda: None
            ).outputs,
        )
        for trainer, truth in (
            (LogisticTrainer(), hard),
            (VoteLogisticTrainer(), votes),
        )
    ]


@pytest.mark.parametrize("seed", range(3))
def test_soft_labels_win_where_annotators_disagree(seed, tmp_path):
    hard, soft = both(tmp_path / "s", agreement=0.5, seed=seed)
    assert soft["nll"] < hard["nll"] - 0.01
    assert soft["js"] < hard["js"] - 0.001
    assert soft["entropy_correlation"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_soft_labels_win_nothing_where_they_agree(seed, tmp_path):
    """Only the choice of the penalty can differ: by WA, by cross-entropy."""
    store, fold, votes = annotated(tmp_path / "s", 1000.0, seed)
    hard = {name: label for name, (label, _) in votes.items()}
    outputs = [
        trainer.fit(store, truth, fold, CLASSES, 1, None, lambda: None).outputs
        for trainer, truth in (
            (LogisticTrainer([0.3]), hard),
            (VoteLogisticTrainer([0.3]), votes),
        )
    ]
    assert torch.allclose(*outputs, atol=1e-4)


def test_the_weights_are_a_minimum_of_the_divergence(tmp_path):
    """Its gradient, from PyTorch, is that of the penalty."""
    store, fold, votes = annotated(tmp_path / "s", 1.0, 0)
    trainer = VoteLogisticTrainer([0.3])
    head = trainer.fit(store, votes, fold, CLASSES, 1, None, lambda: None).head
    x = torch.from_numpy(store.means(fold.train)).double()
    mean, scale = x.mean(0), x.std(0, correction=0)
    said = torch.tensor([votes[n][1] for n in fold.train]).double()
    said = said / said.sum(dim=1, keepdim=True)
    raw = head.output_layer.weight.detach().double()
    bias = head.output_layer.bias.detach().double() + raw @ mean
    weight = (raw * scale).requires_grad_()
    log_p = ((x - mean) / scale @ weight.T + bias).log_softmax(dim=1)
    loss = -(said * log_p).sum() + (weight**2).sum() / 2 / 0.3
    (gradient,) = torch.autograd.grad(loss, weight)
    assert gradient.abs().max() < 0.05
