"""A linear regression head on utterance means, without a Brain.

A step on one vector per utterance is so small that its cost is the calling of
it: the loop here takes the steps that ``ProbeBrain`` would take, to the last
digit but rounding, in a tenth of the time.
"""

from collections.abc import Callable

import torch

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.best_epoch import BestEpoch
from speechbrain_e2v.downstream.packed import ShuffledBatches
from speechbrain_e2v.downstream.regression.losses import OBJECTIVES
from speechbrain_e2v.downstream.regression.standardise import StandardisedMeans
from speechbrain_e2v.lobes.heads import LinearHead


def train_on_means(
    head: LinearHead,
    optimizer: Callable[..., torch.optim.Optimizer],
    objective: str,
    means: StandardisedMeans,
    ratings: dict[str, list[float]],
    fold: Fold,
    epochs: int,
    batches: ShuffledBatches,
    advance: Callable[[], object],
) -> BestEpoch:
    """Train a head, where its weights are; leaves it as in its best epoch.

    ``ratings`` are standardised; ``batches`` are of the training part.

    Raises ValueError when a validation loss is not finite.
    """
    device = head.output_layer.weight.device
    loss_of = OBJECTIVES[objective]
    x_train, x_valid = (
        means.of(part).to(device) for part in (fold.train, fold.valid)
    )
    y_train, y_valid = (
        torch.tensor([ratings[name] for name in part], device=device)
        for part in (fold.train, fold.valid)
    )
    row = {name: i for i, name in enumerate(fold.train)}
    chosen = optimizer(head.parameters())
    best = BestEpoch("valid_loss", lowest=True)
    for epoch in range(1, epochs + 1):
        batches.set_epoch(epoch)
        losses = []
        for names in batches:
            rows = torch.tensor([row[name] for name in names], device=device)
            chosen.zero_grad()
            loss = loss_of(head.output_layer(x_train[rows]), y_train[rows])
            loss.backward()
            chosen.step()
            losses.append(loss.detach())
        with torch.no_grad():
            valid_loss = loss_of(head.output_layer(x_valid), y_valid).item()
        entry = {
            "epoch": epoch,
            "train_loss": torch.stack(losses).mean().item(),
            "valid_loss": valid_loss,
        }
        best.update(entry, head.state_dict())
        advance()
    head.load_state_dict(best.state)
    return best
