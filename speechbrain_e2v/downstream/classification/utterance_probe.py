"""The released probe on one vector per utterance, all folds at once.

Head, optimizer, schedule, batches, epochs and choice of the epoch are those
of the released probe (``probe.py``); the mean over frames is taken before the
head instead of inside it. That is another classifier, and a thousand
times less work.
"""

from collections import defaultdict

import torch
from speechbrain.utils.distributed import infer_device

from speechbrain_e2v.downstream.batched_heads import (
    HeadsTogether,
    shuffled_rows,
)
from speechbrain_e2v.downstream.classification.probe_settings import fold_seed
from speechbrain_e2v.downstream.fold_result import FoldOutcome


class UtteranceProbeTrainer:
    """Trains the heads of all folds and seeds as one batched model.

    Arguments
    ---------
    settings : ProbeSettings
        Head, optimizer, schedule, epochs and batches.
    """

    def __init__(self, settings):
        self._settings = settings
        self.steps = settings.number_of_epochs
        self.description = settings.describe("probe on utterance means")

    def fit_all(self, store, labels, planned, n_classes, run_opts, advance):
        """Train on every fold.

        Arguments
        ---------
        store : FeatureStore
            Frozen features; their means over frames are taken.
        labels : dict of str to int
            Class index of each utterance.
        planned : sequence of (Fold, int)
            Folds, and seeds of initial weights and batch orders.
        n_classes : int
            Number of classes.
        run_opts : RunOptions or None
            Device.
        advance : callable
            Called with nothing after each epoch of each fold.

        Yields
        ------
        int, FoldOutcome
            Position in ``planned`` and what came out, in any order.
        """
        device = (run_opts or {}).get("device") or infer_device()
        names = sorted({n for f, _ in planned for n in _names(f)})
        index = {name: row for row, name in enumerate(names)}
        vectors = torch.from_numpy(store.means(names)).to(device)
        classes = torch.tensor([labels[n] for n in names], device=device)
        # Heads go together while they take the same number of steps.
        groups = defaultdict(list)
        for position, (fold, _) in enumerate(planned):
            groups[-(-len(fold.train) // self._settings.batch_size)].append(
                position
            )
        for positions in groups.values():
            outcomes = self._fit_group(
                [planned[i] for i in positions],
                vectors, classes, index, n_classes, advance,
            )  # fmt: skip
            yield from zip(positions, outcomes, strict=True)

    def _fit_group(self, planned, vectors, classes, index, n_classes, advance):
        settings, width = self._settings, vectors.shape[1]
        seeds = [fold_seed(seed, fold) for fold, seed in planned]
        heads = [
            settings.build_head(width, n_classes, seed).to(vectors.device)
            for seed in seeds
        ]
        together = HeadsTogether(
            heads, vectors, classes, settings.optimizer, settings.schedule
        )
        valid = [[index[n] for n in fold.valid] for fold, _ in planned]
        truth = [classes[rows] for rows in valid]
        best = [None] * len(planned)
        history = [[] for _ in planned]
        for epoch in range(1, self.steps + 1):
            lr, momentum = together.step_sizes
            losses = together.train_epoch(
                [
                    shuffled_rows(
                        fold.train, index, settings.batch_size, seed, epoch
                    )
                    for (fold, _), seed in zip(planned, seeds, strict=True)
                ]
            ).tolist()
            for i, logits in enumerate(together.logits(valid)):
                hits = (logits.argmax(dim=1) == truth[i]).sum().item()
                wa = 100 * (hits / len(truth[i]))
                entry = {
                    "epoch": epoch,
                    "lr": lr,
                    "momentum": momentum,
                    "train_loss": losses[i],
                    "valid_wa": wa,
                }
                history[i].append(entry)
                if best[i] is None or wa > best[i]["valid_wa"]:
                    best[i] = entry
                    for name, value in heads[i].state_dict().items():
                        value.copy_(together.state[name][i].detach())
                advance()
        for i, (fold, _) in enumerate(planned):
            rows = [index[n] for n in fold.test]
            with torch.no_grad():
                logits = heads[i](vectors[rows].unsqueeze(1))
            posteriors = logits.softmax(dim=1).cpu()
            arguments = settings.head_arguments(width, n_classes)
            yield FoldOutcome(
                heads[i].eval(), arguments, posteriors, best[i], history[i]
            )


def _names(fold):
    return (*fold.train, *fold.valid, *fold.test)
