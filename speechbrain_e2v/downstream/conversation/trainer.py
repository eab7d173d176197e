"""Conversation networks trained and tested in every fold.

Adam with learning rate 1e-4 and cross-entropy are of Shi, Li and Toda (2023),
section 3.4. That nothing is said of batches, epochs and stopping is made up
for: batches of 32, at most 50 epochs, an end after 10 epochs without a better
validation UAR, no class weights, no clipping.
"""

import copy
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.utils.distributed import infer_device
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.best_epoch import BestEpoch
from speechbrain_e2v.downstream.conversation.batches import (
    BatchesOfLikeLength,
    ConversationBatch,
    SampleTensors,
)
from speechbrain_e2v.downstream.conversation.inputs import fitted_inputs
from speechbrain_e2v.downstream.conversation.networks import ConversationModel
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.downstream.packed import batches_in_order
from speechbrain_e2v.downstream.process_pool import (
    map_in_processes,
    usable_processes,
)
from speechbrain_e2v.downstream.provenance import config_of_callable
from speechbrain_e2v.metrics import unweighted_accuracy
from speechbrain_e2v.training.brain import E2VBrain
from speechbrain_e2v.training.seeding import stable_hash


class ConversationTrainer:
    """Trains ``network(input_dim=..., n_classes=...)`` in every fold.

    Folds with the same training samples are trained once: in IEMOCAP the two
    speakers of a session take turns in validation and test, and nothing else
    differs. ``patience`` is after how many epochs without a better validation
    UAR a fold ends.

    >>> from speechbrain_e2v.downstream.conversation.networks import (
    ...     RoutedNetwork)
    >>> trainer = ConversationTrainer(RoutedNetwork, torch.optim.Adam)
    >>> trainer.description["network"]
    {'name': 'RoutedNetwork'}
    """

    learns = True

    def __init__(
        self,
        network: Callable[..., torch.nn.Module],
        optimizer: Callable[..., torch.optim.Optimizer],
        number_of_epochs: int = 50,
        patience: int = 10,
        batch_size: int = 32,
    ) -> None:
        numbers = {
            "number_of_epochs": number_of_epochs,
            "patience": patience,
            "batch_size": batch_size,
        }
        for name, number in numbers.items():
            if number < 1:
                raise ValueError(f"{name} is {number}; it must be at least 1")
        self.network = network
        self._optimizer = optimizer
        self._patience = patience
        self._batch_size = batch_size
        self.steps = number_of_epochs
        self.chooses = number_of_epochs > 1
        config = config_of_callable(network)
        self.description = {
            "kind": f"conversation network {config['name']}",
            "network": config,
            "optimizer": config_of_callable(optimizer),
            **numbers,
            "selection": "first epoch with the best validation UAR",
        }

    def fit_all(
        self,
        store: SampleTensors,
        truth: Mapping[str, int],
        planned: Sequence[tuple[Fold, int]],
        n_outputs: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> Iterator[tuple[int, FoldResult]]:
        """Train folds with seeds; yields their places as they finish."""
        groups: dict[tuple, list[int]] = {}
        for place, (fold, seed) in enumerate(planned):
            groups.setdefault((seed, fold.train), []).append(place)
        places = list(groups.values())
        jobs = [
            (
                store,
                truth,
                [planned[place][0] for place in some],
                n_outputs,
                planned[some[0]][1],
                run_opts,
            )
            for some in places
        ]
        device = getattr(run_opts, "device", None) or infer_device()
        for number, results in map_in_processes(
            self.train, jobs, usable_processes(device)
        ):
            for place, result in zip(places[number], results, strict=True):
                yield place, result
                for _ in range(self.steps):
                    advance()

    def train(
        self,
        store: SampleTensors,
        truth: Mapping[str, int],
        folds: Sequence[Fold],
        n_classes: int,
        seed: int,
        run_opts: RunOptions | None,
    ) -> list[FoldResult]:
        """Train once for folds that are alike but for validation and test."""
        train = folds[0].train
        names = hashlib.sha256("\n".join(train).encode()).hexdigest()
        seed = stable_hash("conversation", seed, names)
        vectors, units, n_units, unit_dim = fitted_inputs(store, train)
        valid = list(dict.fromkeys(name for f in folds for name in f.valid))
        place = {name: number for number, name in enumerate(valid)}
        parts = [
            ValidationPart(
                [place[name] for name in fold.valid],
                [truth[name] for name in fold.valid],
                BestEpoch("valid_uar", patience=self._patience),
            )
            for fold in folds
        ]
        arguments = {
            "network": self.description["network"],
            "input_dim": vectors.shape[1] + unit_dim,
            "n_classes": n_classes,
            "n_units": n_units,
            "unit_dim": unit_dim,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.network(
                input_dim=arguments["input_dim"], n_classes=n_classes
            )
            brain = ConversationBrain(
                {"model": ConversationModel(network, n_units, unit_dim)},
                self._optimizer,
                {
                    "seed": seed,
                    "vectors": vectors,
                    "units": units,
                    "parts": parts,
                    "max_grad_norm": float("inf"),
                },
                run_opts,
            )
            order = BatchesOfLikeLength(
                {n: store.length(n) for n in train}, self._batch_size, seed
            )
            brain.fit(
                brain.unfinished(range(1, self.steps + 1)),
                store.loader(order, truth),
                store.loader(batches_in_order(valid), truth),
                progressbar=False,
            )
        results = []
        for fold, part in zip(folds, parts, strict=True):
            model = brain.model_of(part.best.state)
            test = store.loader(batches_in_order(fold.test), truth)
            results.append(
                FoldResult(
                    model,
                    arguments,
                    brain.posteriors(model, test),
                    part.best.entry,
                    part.best.history,
                )
            )
        return results


@dataclass
class ValidationPart:
    """One fold's samples among all that are validated, and its best epoch."""

    places: Sequence[int]
    labels: Sequence[int]
    best: BestEpoch


class ConversationBrain(E2VBrain):
    """Trains one model and keeps the best epoch of every fold it serves.

    ``modules`` is ``{"model": ConversationModel}``; ``hparams`` has ``seed``,
    ``vectors`` and ``units`` of all utterances, and ``parts``, a
    :class:`ValidationPart` per fold.
    """

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Forget the predictions of the stage before."""
        self._logits: list[torch.Tensor] = []

    def on_fit_start(self) -> None:
        """Put the utterances' vectors where the network is."""
        super().on_fit_start()
        self._vectors = self.hparams.vectors.to(self.device)
        self._units = self.hparams.units.to(self.device)

    def compute_forward(
        self, batch: ConversationBatch, stage: sb.Stage
    ) -> torch.Tensor:
        """Logits [B, C]."""
        return self._logits_of(self.modules["model"], batch)

    def _logits_of(
        self, model: torch.nn.Module, batch: ConversationBatch
    ) -> torch.Tensor:
        batch = batch.to(self.device)
        return model(
            self._vectors,
            self._units,
            batch.rows,
            batch.lengths,
            batch.roles,
            batch.turns,
        )

    def compute_objectives(
        self, logits: torch.Tensor, batch: ConversationBatch, stage: sb.Stage
    ) -> torch.Tensor:
        """Cross-entropy, mean over the samples of the batch."""
        if stage != sb.Stage.TRAIN:
            self._logits.append(logits)
        return F.cross_entropy(logits.float(), batch.labels.to(self.device))

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """After validation, every fold looks at its own part of it."""
        if stage == sb.Stage.TRAIN:
            self._train_loss = float(stage_loss)
        if stage == sb.Stage.VALID:
            predicted = torch.cat(self._logits).argmax(dim=1).tolist()
            for part in self.hparams.parts:
                chosen = [predicted[place] for place in part.places]
                entry = {
                    "epoch": epoch,
                    "train_loss": self._train_loss,
                    "valid_uar": unweighted_accuracy(part.labels, chosen),
                }
                part.best.update(entry, self.modules["model"].state_dict())

    def unfinished(self, epochs: Iterable[int]) -> Iterator[int]:
        """Epochs until no fold waits for a better one."""
        return itertools.takewhile(
            lambda _: not all(part.best.ended for part in self.hparams.parts),
            epochs,
        )

    def model_of(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """A copy of the model with the parameters of an epoch."""
        model = copy.deepcopy(self.modules["model"])
        model.load_state_dict(state)
        return model.eval()

    def posteriors(
        self, model: torch.nn.Module, batches: Iterable[ConversationBatch]
    ) -> torch.Tensor:
        """Class probabilities [N, C] on the CPU."""
        with torch.no_grad():
            logits = [self._logits_of(model, batch) for batch in batches]
        return torch.cat(logits).float().softmax(dim=1).cpu()
