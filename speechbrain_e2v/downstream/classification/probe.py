"""The released probe: a small head on frozen features.

emotion2vec's downstream code (paper section 4.3, and what that code does):
Linear(D, 256), ReLU, mean over frames, Linear(256, C); cross-entropy; RMSprop
with learning rate 5e-4, momentum 0.9 and no weight decay; CyclicLR between
5e-4 and 1e-3, ten steps up, stepped once per *epoch*, which by torch's default
cycles the momentum between 0.9 and 0.8 too; batches of 128, 100 epochs; the
first epoch with the best validation WA is tested.
"""

from collections.abc import Callable

import torch
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.probe_settings import (
    ProbeSettings,
    fold_seed,
)
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.downstream.packed import (
    PackedUtterances,
    ShuffledBatches,
    batches_in_order,
)
from speechbrain_e2v.downstream.probe_brain import ProbeBrain
from speechbrain_e2v.inference.feature_store import FeatureStore


class ProbeTrainer(FoldByFold):
    """Trains one head per fold and seed on the frames of the utterances."""

    def __init__(self, settings: ProbeSettings) -> None:
        self._settings = settings
        self.steps = settings.number_of_epochs
        self.chooses = self.steps > 1
        self.description = settings.describe("probe")

    def for_upstream(self, description: dict) -> "ProbeTrainer":
        """As of :class:`LayerWeigher`."""
        return ProbeTrainer(self._settings.for_upstream(description))

    def fit(
        self,
        store: FeatureStore,
        truth: dict[str, int],
        fold: Fold,
        n_classes: int,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> FoldResult:
        """Train on a fold; ``seed`` is of initial weights and batch orders."""
        settings = self._settings
        seed = fold_seed(seed, fold)
        head = settings.build_head(store.dim, n_classes, seed)
        best = settings.best_epoch()
        with torch.random.fork_rng(devices=[]):
            brain = ProbeBrain(
                {"head": head},
                settings.optimizer,
                {
                    "seed": seed,
                    "loss": settings.loss,
                    "valid_scores": settings.valid_scores,
                    "best": best,
                    "schedule": settings.schedule,
                    "advance": advance,
                    "max_grad_norm": settings.max_grad_norm,
                },
                run_opts,
            )
            items = PackedUtterances(store, truth)
            brain.fit(
                range(1, self.steps + 1),
                items.loader(
                    ShuffledBatches(fold.train, settings.batch_size, seed)
                ),
                items.loader(batches_in_order(fold.valid, settings.batch_size)),
                progressbar=False,
            )
            test = batches_in_order(fold.test, settings.batch_size)
            logits = brain.outputs(items.loader(test))
        return FoldResult(
            head,
            settings.head_arguments(store.dim, n_classes),
            logits.softmax(dim=1),
            best.entry,
            best.history,
        )
