"""Fine-tuning in every fold.

A fold that was killed goes on from its last checkpoint, at the end of an
epoch or in the middle of one, and ends with the same bits. Checkpoints lie
below ``save_folder`` and are removed when the fold's result is written.
"""

import copy
import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.cross_validation import decisive_options
from speechbrain_e2v.downstream.finetuning.batches import (
    TuningItems,
    UpdateBatches,
)
from speechbrain_e2v.downstream.finetuning.brain import (
    FineTuningBrain,
    TrainedState,
)
from speechbrain_e2v.downstream.finetuning.corpus import TunableCorpus
from speechbrain_e2v.downstream.finetuning.epoch_log import EpochLog
from speechbrain_e2v.downstream.finetuning.lora import merge_adapters
from speechbrain_e2v.downstream.finetuning.model import TunedEncoder
from speechbrain_e2v.downstream.finetuning.objectives import (
    FoldObjective,
    Objective,
)
from speechbrain_e2v.downstream.finetuning.settings import (
    FineTuningSettings,
    described,
)
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer
from speechbrain_e2v.training.seeding import stable_hash


class FineTuner:
    """Trains a copy of the encoder and a head per fold and seed.

    The epoch with the best validation score is tested and kept.
    """

    learns = True

    def __init__(
        self,
        settings: FineTuningSettings,
        objective: Objective,
        save_folder: str | Path,
    ) -> None:
        self._settings = settings
        self._objective = objective
        self._save_folder = Path(save_folder)
        self.steps = settings.number_of_epochs
        self.chooses = self.steps > 1
        self.description = {
            "kind": "fine-tuning",
            **settings.describe(),
            "training_objective": described(objective),
            "selection": "first epoch with the best validation "
            f"{objective.selection.upper()}",
        }

    def fit_all(
        self,
        store: TunableCorpus,
        truth: Mapping[str, Any],
        planned: Sequence[tuple[Fold, int]],
        n_outputs: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> Iterator[tuple[int, FoldResult]]:
        """Train folds with seeds; yields their places as they finish."""
        for place, (fold, seed) in enumerate(planned):
            folder = self._folder(store, truth, fold, seed, run_opts)
            yield (
                place,
                self.fit(
                    store,
                    truth,
                    fold,
                    n_outputs,
                    seed,
                    run_opts,
                    advance,
                    folder,
                ),
            )
            # Whoever asks for the next fold has written this one's result.
            ddp_barrier()
            if if_main_process():
                shutil.rmtree(folder)

    def fit(
        self,
        store: TunableCorpus,
        truth: Mapping[str, Any],
        fold: Fold,
        n_outputs: int,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
        folder: Path,
    ) -> FoldResult:
        """Train on a fold, or go on with what lies in the folder."""
        seed = stable_hash("fine-tuning", seed, fold.name)
        settings = self._settings
        objective = self._objective.of_fold(store, truth, fold, n_outputs)
        arguments = {
            **getattr(settings.head, "keywords", {}),
            "input_dim": store.dim,
            "n_classes": objective.n_outputs,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._model(store, arguments)
            brain, log = self._brain(
                model, objective, folder, seed, run_opts, advance
            )
            items = TuningItems(store, objective.targets)
            batches = self._batches(store, truth, fold, seed, brain)
            total = self.steps * batches.updates
            brain.lr_schedule = functools.partial(
                settings.schedule, peak=1.0, total=total
            )
            brain.fit(
                brain.unfinished(brain.hparams.epochs),
                items.training_loader(batches, settings.num_workers),
                items.loader(fold.valid, settings.batch_seconds),
                progressbar=False,
            )
            best, history = log.best, log.history
            for _ in range(self.steps - len(history)):
                advance()  # epochs that patience has saved
            brain.load_best()  # takes the log back to that epoch, too
            free = [p for p in model.encoder.parameters() if p.requires_grad]
            count = sum(p.numel() for p in free)
            merge_adapters(model.encoder)
            found = brain.outputs_of(
                items.loader(fold.test, settings.batch_seconds)
            )
        outputs = torch.stack([found[name] for name in fold.test])
        model.cpu()
        arguments = objective.finished(model.head, arguments)
        return FoldResult(
            model.head,
            arguments,
            objective.predictions(outputs),
            best,
            history,
            _changed(store.encoder, model.encoder),
            count,
        )

    def _model(self, store: TunableCorpus, arguments: dict) -> TunedEncoder:
        encoder = copy.deepcopy(store.encoder)
        settings = self._settings
        model = TunedEncoder(encoder, store.layer, settings.head(**arguments))
        settings.what_trains.open(encoder, model.used_blocks)
        return model

    def _brain(
        self,
        model: TunedEncoder,
        objective: FoldObjective,
        folder: Path,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> tuple[FineTuningBrain, EpochLog]:
        settings = self._settings
        log = EpochLog(f"valid_{self._objective.selection}", settings.patience)
        epochs = EpochCounter(self.steps)
        checkpointer = AtomicCheckpointer(
            folder,
            {"model": TrainedState(model), "log": log, "epochs": epochs},
        )
        brain = FineTuningBrain(
            {"model": model},
            settings.optimizer,
            {
                **settings.run_options,
                "seed": seed,
                "objective": objective,
                "rates": settings.rates,
                "unfreezing": settings.unfreezing,
                "augmentation": settings.augmentation,
                "log": log,
                "epochs": epochs,
                "advance": advance,
            },
            run_opts,
            checkpointer,
        )
        return brain, log

    def _batches(
        self,
        store: TunableCorpus,
        truth: Mapping[str, Any],
        fold: Fold,
        seed: int,
        brain: FineTuningBrain,
    ) -> UpdateBatches:
        weights = None
        if self._settings.balanced_sampling:
            codes = np.array([truth[name] for name in fold.train])
            counts = np.bincount(codes)
            weights = {
                name: 1.0 / counts[code]
                for name, code in zip(fold.train, codes, strict=True)
            }
        return UpdateBatches(
            {name: store.samples(name) for name in fold.train},
            self._settings.batch_size,
            seed,
            weights,
            brain.rank,
            brain.world_size,
            brain.grad_accumulation_factor,
        )

    def _folder(
        self,
        store: TunableCorpus,
        truth: Mapping[str, Any],
        fold: Fold,
        seed: int,
        run_opts: RunOptions | None,
    ) -> Path:
        """Of the checkpoints: other settings never meet them."""
        decisive = [
            self.description,
            store.digest,
            seed,
            fold.name,
            [
                [[name, truth[name]] for name in part]
                for part in (fold.train, fold.valid)
            ],
            decisive_options(run_opts),
        ]
        text = json.dumps(decisive, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._save_folder / digest[:32]


def _changed(
    before: torch.nn.Module, after: torch.nn.Module
) -> dict[str, torch.Tensor]:
    """Tensors that are not what they were, by name."""
    old = before.state_dict()
    return {
        name: value
        for name, value in after.state_dict().items()
        if not torch.equal(value.cpu(), old[name].cpu())
    }
