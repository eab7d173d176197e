"""Conversation networks trained and tested in every fold.

Adam with learning rate 1e-4 and cross-entropy are of Shi, Li and Toda (2023),
section 3.4. That nothing is said of batches, epochs and stopping is made up
for: batches of 32, at most 50 epochs, an end after 10 epochs without a better
validation UAR, no class weights, no clipping.
"""

import hashlib

import torch
from speechbrain.utils.distributed import infer_device

from speechbrain_e2v.downstream.best_epoch import BestEpoch
from speechbrain_e2v.downstream.conversation.batches import BatchesOfLikeLength
from speechbrain_e2v.downstream.conversation.brain import (
    ConversationBrain,
    ValidationPart,
)
from speechbrain_e2v.downstream.conversation.inputs import fitted_inputs
from speechbrain_e2v.downstream.conversation.model import ConversationModel
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.downstream.packed import batches_in_order
from speechbrain_e2v.downstream.process_pool import (
    map_in_processes,
    usable_processes,
)
from speechbrain_e2v.downstream.provenance import config_of_callable
from speechbrain_e2v.training.seeding import stable_hash


class ConversationTrainer:
    """Trains a conversation network per fold.

    Folds with the same training samples are trained once: in IEMOCAP the two
    speakers of a session take turns in validation and test, and nothing else
    differs.

    Arguments
    ---------
    network : callable
        ``network(input_dim=..., n_classes=...)``.
    optimizer : callable
        ``optimizer(parameters)``.
    number_of_epochs : int
        At most.
    patience : int
        Epochs without a better validation UAR after which a fold ends.
    batch_size : int
        Samples in a training batch.

    Example
    -------
    >>> from speechbrain_e2v.downstream.conversation.networks import (
    ...     RoutedNetwork)
    >>> trainer = ConversationTrainer(RoutedNetwork, torch.optim.Adam)
    >>> trainer.description["network"]
    {'name': 'RoutedNetwork'}
    """

    def __init__(
        self,
        network,
        optimizer,
        number_of_epochs=50,
        patience=10,
        batch_size=32,
    ):
        numbers = {
            "number_of_epochs": number_of_epochs,
            "patience": patience,
            "batch_size": batch_size,
        }
        for name, number in numbers.items():
            if number < 1:
                raise ValueError(f"{name} is {number}; it must be at least 1")
        self._network = network
        self._optimizer = optimizer
        self._patience = patience
        self._batch_size = batch_size
        self.steps = number_of_epochs
        described = config_of_callable(network)
        self.description = {
            "kind": f"conversation network {described['name']}",
            "network": described,
            "optimizer": config_of_callable(optimizer),
            **numbers,
            "selection": "first epoch with the best validation UAR",
        }

    def fit_all(self, store, labels, planned, n_classes, run_opts, advance):
        """Train on all folds.

        Arguments
        ---------
        store : Conversations
            Samples and inputs.
        labels : dict of str to int
            Class of each sample.
        planned : sequence of (Fold, int)
            Folds, and seeds of initial weights, dropout and batch orders.
        n_classes : int
            Number of classes.
        run_opts : RunOptions or None
            Device and so on.
        advance : callable
            Called with nothing after each epoch of each fold.

        Yields
        ------
        int, FoldResult
            Position in ``planned`` and what came out.
        """
        groups = {}
        for position, (fold, seed) in enumerate(planned):
            groups.setdefault((seed, fold.train), []).append(position)
        groups = list(groups.values())
        jobs = [
            (
                store,
                labels,
                [planned[position][0] for position in positions],
                n_classes,
                planned[positions[0]][1],
                run_opts,
            )
            for positions in groups
        ]
        device = getattr(run_opts, "device", None) or infer_device()
        for number, outcomes in map_in_processes(
            self.train, jobs, usable_processes(device)
        ):
            for position, outcome in zip(groups[number], outcomes, strict=True):
                yield position, outcome
                for _ in range(self.steps):
                    advance()

    def train(self, store, labels, folds, n_classes, seed, run_opts):
        """Train once for folds whose training samples are the same.

        Arguments
        ---------
        store, labels, n_classes, run_opts
            As for :meth:`fit_all`.
        folds : sequence of Fold
            Alike but for validation and test.
        seed : int
            Of initial weights, dropout and batch orders.

        Returns
        -------
        list of FoldResult
            One per fold.
        """
        train = folds[0].train
        names = hashlib.sha256("\n".join(train).encode()).hexdigest()
        seed = stable_hash("conversation", seed, names)
        vectors, units, n_units, unit_dim = fitted_inputs(store, train)
        valid = list(dict.fromkeys(name for f in folds for name in f.valid))
        place = {name: number for number, name in enumerate(valid)}
        parts = [
            ValidationPart(
                [place[name] for name in fold.valid],
                [labels[name] for name in fold.valid],
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
            network = self._network(
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
                store.loader(order, labels),
                store.loader(batches_in_order(valid), labels),
                progressbar=False,
            )
        outcomes = []
        for fold, part in zip(folds, parts, strict=True):
            model = brain.model_of(part.best.state)
            test = store.loader(batches_in_order(fold.test), labels)
            outcomes.append(
                FoldResult(
                    model,
                    arguments,
                    brain.posteriors(model, test),
                    part.best.entry,
                    part.best.history,
                )
            )
        return outcomes
