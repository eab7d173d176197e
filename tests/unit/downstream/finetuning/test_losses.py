"""Losses against their formulas, objectives against their parts."""

import math

import pytest
import torch
import torch.nn.functional as F
from unit.downstream.finetuning import tuning

from speechbrain_e2v.downstream.finetuning.losses import (
    CrossEntropy,
    Focal,
    VoteDivergence,
    balanced_weights,
)
from speechbrain_e2v.downstream.finetuning.objectives import Classes
from speechbrain_e2v.downstream.finetuning.rating_objectives import (
    ClassesAndRatings,
    Ratings,
)
from speechbrain_e2v.downstream.regression.losses import ccc_loss
from speechbrain_e2v.lobes.heads import LinearHead

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]])
LABELS = torch.tensor([0, 2])
ONE_HOT = F.one_hot(LABELS, 3).float()
WEIGHTS = torch.tensor([0.5, 1.0, 4.0])
P = LOGITS.softmax(1)


def test_balanced_weights_are_n_over_c_n_c():
    found = balanced_weights(torch.tensor([6, 3, 1, 0]))
    expected = [10 / 18, 10 / 9, 10 / 3, 0.0]
    assert found.tolist() == pytest.approx(expected)


def test_cross_entropy_with_weights_and_smoothing():
    right = P[[0, 1], LABELS]
    plain = CrossEntropy()(LOGITS, ONE_HOT, None)
    assert plain.item() == pytest.approx(-right.log().mean().item())
    weighted = CrossEntropy()(LOGITS, ONE_HOT, WEIGHTS)
    by_hand = (-WEIGHTS[LABELS] * right.log()).mean()
    assert weighted.item() == pytest.approx(by_hand.item())
    smooth = CrossEntropy(0.1)(LOGITS, ONE_HOT, None)
    theirs = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    assert smooth.item() == pytest.approx(theirs.item())


def test_focal_loss():
    right = P[[0, 1], LABELS]
    by_hand = (-((1 - right) ** 2) * right.log() * WEIGHTS[LABELS]).mean()
    found = Focal(gamma=2.0)(LOGITS, ONE_HOT, WEIGHTS)
    assert found.item() == pytest.approx(by_hand.item())


def test_divergence_from_votes():
    votes = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    by_hand = 0.0
    for row, p in zip(votes.tolist(), P.tolist(), strict=True):
        for count, q in zip(row, p, strict=True):
            share = count / sum(row)
            by_hand += share * math.log(share / q) / 2 if share else 0.0
    found = VoteDivergence()(LOGITS, votes, None)
    assert found.item() == pytest.approx(by_hand, rel=1e-5)
    soft = CrossEntropy()(LOGITS, votes, None)  # differs by the entropy alone
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / 2
    assert (soft - found).item() == pytest.approx(entropy, rel=1e-4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tuning.corpus(tmp_path_factory.mktemp("corpus"), ratings=True)


def test_votes_are_trained_on_and_labels_tested(store):
    def votes(utterance, classes):
        assert classes == list(tuning.CLASSES)
        return [2, 1, 0]

    objective = Classes(VoteDivergence(), soft_targets=votes)
    fold = objective.of_fold(store, tuning.TRUTH, tuning.FOLD, 3)
    assert fold.targets["u00"].tolist() == [2.0, 1.0, 0.0]
    assert fold.targets["u07"].tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="u00: soft targets are"):
        Classes(
            VoteDivergence(), soft_targets=lambda u, c: [0, 0, 0]
        ).of_fold(store, tuning.TRUTH, tuning.FOLD, 3)  # fmt: skip


def test_ratings_are_standardised_and_come_back(store, tmp_path):
    truth = {
        name: [u.extra["arousal"], u.extra["valence"]]
        for name, u in store.utterances.items()
    }
    fold = Ratings().of_fold(store, truth, tuning.FOLD, 2)
    train = torch.stack([fold.targets[n] for n in tuning.FOLD.train])
    assert train.mean(0).abs().max() < 1e-6
    raw = torch.tensor([truth[n] for n in tuning.NAMES[6:9]])
    units = torch.stack([fold.targets[n] for n in tuning.NAMES[6:9]])
    assert torch.allclose(fold.predictions(units), raw.double())
    result = tuning.tuned(store, tmp_path / "save", truth, Ratings())
    assert result.outputs.shape == (3, 2)
    assert -1 <= result.selection["valid_ccc"] <= 1
    # the head that is kept speaks of the scales
    assert result.head.output_layer.bias[0] > 2


def test_classes_with_ratings_beside_them(store, tmp_path):
    both = ClassesAndRatings(
        Classes(CrossEntropy()), ("arousal", "valence"), rating_weight=0.25
    )
    fold = both.of_fold(store, tuning.TRUTH, tuning.FOLD, 3)
    assert fold.n_outputs == 5
    targets = torch.stack([fold.targets[n] for n in tuning.NAMES[:4]])
    outputs = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    expected = F.cross_entropy(outputs[:, :3], targets[:, :3])
    expected += 0.25 * ccc_loss(outputs[:, 3:], targets[:, 3:])
    assert torch.isclose(fold.loss(outputs, targets), expected)
    targets[:, 3:] = float("nan")  # nobody was rated
    assert torch.isclose(
        fold.loss(outputs, targets),
        F.cross_entropy(outputs[:, :3], targets[:, :3]),
    )
    result = tuning.tuned(store, tmp_path / "save", objective=both)
    assert result.arguments == {"input_dim": 24, "n_classes": 3}
    head = LinearHead(**result.arguments)
    head.load_state_dict(result.head.state_dict())
    assert result.outputs.shape == (3, 3)
    assert {"valid_ua", "valid_ccc"} <= result.selection.keys()
