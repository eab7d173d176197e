"""The released probe on one vector per utterance, all folds at once.

Head, optimizer, schedule, batches, epochs and choice of the epoch are those
of the released probe (``probe.py``); the mean over frames is taken before the
head instead of inside it. That is another classifier, and a thousand
times less work.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from speechbrain.utils.distributed import infer_device
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.batched_heads import BatchedHeads, shuffled_rows
from speechbrain_e2v.downstream.classification.probe_settings import (
    ProbeSettings,
    fold_seed,
)
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.inference.feature_store import FeatureStore


class UtteranceProbeTrainer:
    """Trains the heads of all folds and seeds as one batched model."""

    learns = True

    def __init__(self, settings: ProbeSettings) -> None:
        if settings.max_grad_norm != float("inf"):
            raise ValueError(
                "max_grad_norm: a probe of all folds at once does not clip "
                "gradients; use ProbeTrainer"
            )
        self._settings = settings
        self.steps = settings.number_of_epochs
        self.chooses = self.steps > 1
        self.description = settings.describe("probe on utterance means")

    def for_upstream(self, description: dict) -> "UtteranceProbeTrainer":
        """As of :class:`LayerWeigher`."""
        return UtteranceProbeTrainer(self._settings.for_upstream(description))

    def fit_all(
        self,
        store: FeatureStore,
        truth: dict[str, int],
        planned: Sequence[tuple[Fold, int]],
        n_classes: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> Iterator[tuple[int, FoldResult]]:
        """Train on every fold; ``Trainer.fit_all``."""
        device = (run_opts or {}).get("device") or infer_device()
        names = sorted({n for f, _ in planned for n in _names(f)})
        index = {name: row for row, name in enumerate(names)}
        vectors = torch.from_numpy(store.means(names)).to(device)
        classes = torch.tensor([truth[n] for n in names], device=device)
        # Heads go together while they take the same number of steps.
        groups = defaultdict(list)
        for place, (fold, _) in enumerate(planned):
            steps = -(-len(fold.train) // self._settings.batch_size)
            groups[steps].append(place)
        for places in groups.values():
            results = self._fit_group(
                [planned[i] for i in places],
                vectors, classes, index, n_classes, advance,
            )  # fmt: skip
            yield from zip(places, results, strict=True)

    def _fit_group(
        self,
        planned: Sequence[tuple[Fold, int]],
        vectors: torch.Tensor,
        classes: torch.Tensor,
        index: dict[str, int],
        n_classes: int,
        advance: Callable[[], object],
    ) -> Iterator[FoldResult]:
        settings, width = self._settings, vectors.shape[1]
        seeds = [fold_seed(seed, fold) for fold, seed in planned]
        heads = [
            settings.build_head(width, n_classes, seed).to(vectors.device)
            for seed in seeds
        ]
        batched = BatchedHeads(
            heads, vectors, classes, settings.optimizer, settings.schedule
        )
        valid = [[index[n] for n in fold.valid] for fold, _ in planned]
        truth = [classes[rows] for rows in valid]
        best = [settings.best_epoch() for _ in planned]
        for epoch in range(1, self.steps + 1):
            lr, momentum = batched.step_sizes
            losses = batched.train_epoch(
                [
                    shuffled_rows(
                        fold.train, index, settings.batch_size, seed, epoch
                    )
                    for (fold, _), seed in zip(planned, seeds, strict=True)
                ]
            ).tolist()
            for i, logits in enumerate(batched.logits(valid)):
                entry = {
                    "epoch": epoch,
                    "lr": lr,
                    "momentum": momentum,
                    "train_loss": losses[i],
                    **settings.valid_scores(logits, truth[i]),
                }
                best[i].update(entry, batched.state_of(i))
                advance()
        for (fold, _), head, chosen in zip(planned, heads, best, strict=True):
            head.load_state_dict(chosen.state)
            rows = [index[n] for n in fold.test]
            with torch.no_grad():
                logits = head(vectors[rows].unsqueeze(1))  # [N, 1, D]
            yield FoldResult(
                head.eval(),
                settings.head_arguments(width, n_classes),
                logits.softmax(dim=1).cpu(),
                chosen.entry,
                chosen.history,
            )


def _names(fold: Fold) -> tuple[str, ...]:
    return (*fold.train, *fold.valid, *fold.test)
