"""A linear regression head on utterance means, without a Brain.

A step on one vector per utterance is so small that its cost is the calling of
it: the loop here takes the steps that ``RegressionBrain`` would take, to the
last digit but rounding, in a tenth of the time.
"""

import copy
import math

import numpy as np
import torch

from speechbrain_e2v.downstream.regression.losses import OBJECTIVES


class StandardisedMeans:
    """Utterance means of a fold, standardised by its training part.

    Arguments
    ---------
    store : FeatureStore
        Frozen features.
    fold : Fold
        Ids that train, validate and test.

    Example
    -------
    >>> from speechbrain_e2v.inference.feature_store import (
    ...     FeatureStore, write_features)
    >>> from speechbrain_e2v.corpora.protocols import Fold
    >>> rows = [(n, torch.full((2, 1), float(i))) for i, n in enumerate("abc")]
    >>> folder = write_features(getfixture("tmp_path") / "store", rows)
    >>> means = StandardisedMeans(
    ...     FeatureStore(folder), Fold("x", ("a", "b"), ("c",), ("c",)))
    >>> means.of(["a", "b", "c"]).flatten().tolist()
    [-1.0, 1.0, 3.0]
    """

    def __init__(self, store, fold):
        parts = (fold.train, fold.valid, fold.test)
        names = list(dict.fromkeys(n for part in parts for n in part))
        means = store.means(names).astype(np.float64)
        self.centre, self.spread = moments(means[: len(fold.train)])
        values = (means - self.centre) / self.spread
        self._vectors = torch.from_numpy(values.astype(np.float32))
        self._row = {name: row for row, name in enumerate(names)}

    def of(self, names):
        """Vectors [B, D] of utterances, by id."""
        return self._vectors[[self._row[name] for name in names]]


def moments(values):
    """Mean and deviation of each column; 1 for what does not vary.

    Arguments
    ---------
    values : array of float
        [N, n].

    Returns
    -------
    tuple of numpy.ndarray
        [n] and [n], float64.

    Example
    -------
    >>> [x.tolist() for x in moments([[1.0, 4.0], [3.0, 4.0]])]
    [[2.0, 4.0], [1.0, 1.0]]
    """
    values = np.asarray(values, dtype=np.float64)
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 0, spread, 1.0)


def train_on_means(
    head, optimizer, objective, means, ratings, fold, epochs, batches, advance
):
    """Train a linear head and leave it as it was in its best epoch.

    Arguments
    ---------
    head : LinearHead
        Changed in place, on the device of its weights.
    optimizer : callable
        Parameters to optimizer.
    objective : str
        A key of ``OBJECTIVES``.
    means : StandardisedMeans
        Of the fold.
    ratings : dict of str to list of float
        Standardised ratings of each utterance [n].
    fold : Fold
        Ids that train and validate.
    epochs : int
        How many.
    batches : ShuffledBatches
        Lists of ids of the training part.
    advance : callable
        Called with each epoch's entry of the history.

    Returns
    -------
    tuple
        The best epoch's entry, and the list of all entries.

    Raises
    ------
    ValueError
        When a validation loss is not finite.
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
    history, best = [], None
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
            loss = loss_of(head.output_layer(x_valid), y_valid).item()
        check_finite(epoch, loss)
        entry = {
            "epoch": epoch,
            "train_loss": torch.stack(losses).mean().item(),
            "valid_loss": loss,
        }
        history.append(entry)
        if best is None or loss < best[0]["valid_loss"]:
            best = entry, copy.deepcopy(head.state_dict())
        advance(entry)
    entry, state = best
    head.load_state_dict(state)
    return entry, history


def check_finite(epoch, loss):
    """Refuse a validation loss that is no number.

    Raises
    ------
    ValueError

    Example
    -------
    >>> check_finite(1, 0.5)
    """
    if not math.isfinite(loss):
        raise ValueError(
            f"epoch {epoch}: the validation loss is {loss}; lower the "
            "learning rate of the optimizer"
        )
