"""The first best epoch is kept, whatever is compared."""

import pytest
import torch

from speechbrain_e2v.downstream.best_epoch import BestEpoch


def shown(best, name, scores):
    model = torch.nn.Linear(1, 1)
    for epoch, score in enumerate(scores, start=1):
        with torch.no_grad():
            model.bias.fill_(epoch)
        best.update({"epoch": epoch, name: score}, model.state_dict())
    return best


@pytest.mark.parametrize(
    ("lowest", "scores", "epoch"),
    [(False, [0, 50, 50, 20], 2), (True, [3.0, 1.0, 1.0, 2.0], 2)],
)
def test_of_equals_the_first_is_kept_with_its_weights(lowest, scores, epoch):
    best = shown(BestEpoch("x", lowest=lowest), "x", scores)
    assert best.entry == {"epoch": epoch, "x": scores[epoch - 1]}
    assert best.state["bias"].item() == epoch
    assert [entry["x"] for entry in best.history] == scores
    assert not best.ended


def test_an_end_after_epochs_without_a_better_one():
    best = shown(BestEpoch("x", patience=2), "x", [0, 50, 50, 50, 90])
    assert best.ended and best.entry["epoch"] == 2 and len(best.history) == 4


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(score):
    with pytest.raises(ValueError, match="epoch 2: the validation loss is"):
        shown(BestEpoch("valid_loss", True), "valid_loss", [1.0, score])
