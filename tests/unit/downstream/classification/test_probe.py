"""The probe against a plain loop, and its schedule against the reference."""

import pytest
import torch
import torch.nn.functional as F
from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.probe_settings import (
    ProbeSettings,
)
from speechbrain_e2v.downstream.packed import ShuffledBatches
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features
from speechbrain_e2v.lobes.heads import FrameMLPHead
from speechbrain_e2v.training.seeding import stable_hash

CPU = {"device": "cpu", "noprogressbar": True}
N_CLASSES = 3


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A store of 60 utterances, their classes, and a fold."""
    torch.manual_seed(0)
    names = [f"u{i:02d}" for i in range(60)]
    labels = {name: i % N_CLASSES for i, name in enumerate(names)}
    centres = torch.randn(N_CLASSES, 8)
    features = [
        (name, torch.randn(3 + i % 7, 8) + 0.3 * centres[labels[name]])
        for i, name in enumerate(names)
    ]
    folder = tmp_path_factory.mktemp("probe") / "store"
    store = FeatureStore(write_features(folder, features))
    parts = names[:40], names[40:50], names[50:]
    return store, labels, Fold("x", *map(tuple, parts))


def trainer(repository, epochs, batch_size=16):
    """The released probe, from the fragment that recipes include."""
    path = repository / "hparams" / "fragments" / "linear_probe.yaml"
    overrides = {"number_of_epochs": epochs, "batch_size": batch_size}
    with open(path, encoding="utf-8") as file:
        return load_hyperpyyaml(file, overrides)["classifier"]


def plain_loop(store, labels, fold, seed, epochs, batch_size):
    """The released training, utterance by utterance."""
    seed = stable_hash("probe", seed, fold.name)
    torch.manual_seed(seed)
    first, second = torch.nn.Linear(8, 256), torch.nn.Linear(256, N_CLASSES)
    parameters = [*first.parameters(), *second.parameters()]
    optimizer = torch.optim.RMSprop(parameters, lr=5e-4, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=5e-4, max_lr=1e-3, step_size_up=10
    )

    def logits(names):
        rows = []
        for name in names:
            frames = torch.tensor(store.utterance(name))
            rows.append(second(F.relu(first(frames)).mean(0)))
        return torch.stack(rows)

    def truth(names):
        return torch.tensor([labels[name] for name in names])

    best_accuracy, best, accuracies = -1.0, None, []
    batches = ShuffledBatches(fold.train, batch_size, seed)
    for epoch in range(1, epochs + 1):
        batches.set_epoch(epoch)
        for names in batches:
            optimizer.zero_grad()
            F.cross_entropy(logits(names), truth(names)).backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            hits = logits(fold.valid).argmax(1) == truth(fold.valid)
            accuracies.append(hits.float().mean().item())
            if accuracies[-1] > best_accuracy:
                best_accuracy = accuracies[-1]
                best = epoch, logits(fold.test).softmax(1)
    return best, accuracies


def test_training_equals_a_plain_loop(task, repository):
    store, labels, fold = task
    seen = []
    outcome = trainer(repository, epochs=12).fit(
        store, labels, fold, N_CLASSES, 5, CPU, lambda: seen.append(1)
    )
    (epoch, posteriors), accuracies = plain_loop(
        store, labels, fold, 5, epochs=12, batch_size=16
    )
    assert outcome.selection["epoch"] == epoch
    assert [e["valid_wa"] for e in outcome.history] == pytest.approx(
        [100 * a for a in accuracies]
    )
    assert len(seen) == 12
    # Ties exist, and the first of them wins.
    assert accuracies.count(max(accuracies)) > 1
    torch.testing.assert_close(
        outcome.outputs, posteriors, atol=1e-5, rtol=1e-4
    )


def test_learning_rate_and_momentum_equal_the_reference(
    task, repository, golden
):
    store, labels, fold = task
    vectors = golden("downstream")
    outcome = trainer(repository, epochs=45, batch_size=128).fit(
        store, labels, fold, N_CLASSES, 1, CPU, lambda: None
    )
    for key, name in (
        ("lr", "cyclic_lr_first45_epochs"),
        ("momentum", "cyclic_momentum_first45_epochs"),
    ):
        found = [entry[key] for entry in outcome.history]
        assert found == pytest.approx(vectors[name], abs=1e-9), key


def test_fragment_is_the_released_probe(repository):
    description = trainer(repository, 100, 128).description
    assert description["head"] == {"name": "FrameMLPHead", "hidden": 256}
    assert description["optimizer"] == {
        "name": "RMSprop",
        "lr": 0.0005,
        "alpha": 0.99,
        "momentum": 0.9,
        "weight_decay": 0.0,
    }


def test_seed_and_nothing_else_decides(task, repository):
    store, labels, fold = task

    def posteriors(seed, noise):
        torch.manual_seed(noise)
        return (
            trainer(repository, epochs=2)
            .fit(store, labels, fold, N_CLASSES, seed, CPU, lambda: None)
            .outputs
        )

    assert torch.equal(posteriors(1, noise=3), posteriors(1, noise=4))
    assert not torch.equal(posteriors(1, noise=3), posteriors(2, noise=3))


def test_training_leaves_the_global_generator_alone(task, repository):
    store, labels, fold = task
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    trainer(repository, epochs=1).fit(
        store, labels, fold, N_CLASSES, 1, CPU, lambda: None
    )
    assert torch.equal(torch.rand(1), expected)


def test_head_of_the_outcome_gives_its_posteriors(task, repository):
    store, labels, fold = task
    outcome = trainer(repository, epochs=3).fit(
        store, labels, fold, N_CLASSES, 1, CPU, lambda: None
    )
    head = FrameMLPHead(**outcome.arguments)
    head.load_state_dict(outcome.head.state_dict())
    with torch.no_grad():
        found = head.packed(*store.packed(fold.test)).softmax(1)
    torch.testing.assert_close(found, outcome.outputs)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="number_of_epochs is 0"):
        ProbeSettings(FrameMLPHead, None, None, number_of_epochs=0)
