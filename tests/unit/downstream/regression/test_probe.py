"""Regression probes: they learn, swallow their scaling, and never peek."""

import functools
import json

import numpy as np
import pytest
import torch
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.downstream.regression.metrics import ccc
from speechbrain_e2v.downstream.regression.probe import RegressionTrainer
from speechbrain_e2v.downstream.regression.ridge import RidgeTrainer
from speechbrain_e2v.downstream.regression.standardise import moments
from speechbrain_e2v.downstream.regression.targets import RatingTargets
from speechbrain_e2v.downstream.trained_heads import read_head
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features
from speechbrain_e2v.lobes.heads import FrameMLPHead, LinearHead

ADAM = functools.partial(torch.optim.Adam, lr=0.01)
NAMES = [f"u{i:03d}" for i in range(90)]
FOLD = Fold("only", tuple(NAMES[:50]), tuple(NAMES[50:70]), tuple(NAMES[70:]))
OPTIONS = RunOptions.from_dictionary({"device": "cpu"})


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    for i, name in enumerate(NAMES):
        offset = torch.randn(6, generator=generator)
        frames = torch.randn(2 + i % 3, 6, generator=generator)
        # far from zero mean and unit variance
        yield name, 5 + 0.01 * (offset + 0.3 * frames)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features") / "store"
    return FeatureStore(write_features(folder, features()))


@pytest.fixture(scope="module")
def targets(store):
    """Two ratings that are linear in the mean, one of them far off zero."""
    means = (store.means(NAMES) - 5) / 0.01
    first = 3 + 0.5 * means[:, 0] - 0.3 * means[:, 1]
    second = 40 + 2 * means[:, 2]
    return {
        name: [float(a), float(b)]
        for name, a, b in zip(NAMES, first, second, strict=True)
    }


TRAINERS = {
    "linear": RegressionTrainer(LinearHead, ADAM, "ccc", 40, 16),
    "mse": RegressionTrainer(LinearHead, ADAM, "mse", 40, 16),
    "frames": RegressionTrainer(
        functools.partial(FrameMLPHead, hidden=8), ADAM, "ccc", 3, 16
    ),
    "ridge": RidgeTrainer([1.0, 100.0]),
}


def fit(trainer, store, targets, fold=FOLD, seed=1):
    seen = []
    outcome = trainer.fit(
        store, targets, fold, 2, seed, OPTIONS, lambda: seen.append(1)
    )
    assert len(seen) == trainer.steps
    return outcome


def scores(outcome, targets, fold=FOLD):
    reference = np.array([targets[name] for name in fold.test])
    predicted = outcome.outputs.numpy()
    return [ccc(reference[:, i], predicted[:, i]) for i in range(2)]


@pytest.mark.parametrize("name", ["linear", "mse", "ridge"])
def test_learns_what_is_linear(name, store, targets):
    outcome = fit(TRAINERS[name], store, targets)
    assert min(scores(outcome, targets)) > 0.95


@pytest.mark.parametrize("name", ["linear", "ridge"])
def test_random_ratings_are_not_predicted(name, store):
    generator = np.random.default_rng(5)
    noise = {n: generator.uniform(1, 5, 2).tolist() for n in NAMES}
    assert max(scores(fit(TRAINERS[name], store, noise), noise)) < 0.5


@pytest.mark.parametrize("name", TRAINERS)
def test_the_head_gives_the_predictions_from_raw_features(name, store, targets):
    outcome = fit(TRAINERS[name], store, targets)
    head = type(outcome.head)(**outcome.arguments)
    head.load_state_dict(outcome.head.state_dict())
    with torch.no_grad():
        found = head.packed(*store.packed(FOLD.test))
    # one unit of raw features is a hundred deviations here
    assert torch.allclose(found.double(), outcome.outputs, atol=2e-2)
    assert (found - found.mean(0)).abs().max() > 0.1 or name == "frames"


@pytest.mark.parametrize("name", TRAINERS)
def test_test_ratings_are_never_seen(name, store, targets):
    before = fit(TRAINERS[name], store, targets).outputs
    other = {**targets, **{n: [0.0, 0.0] for n in FOLD.test}}
    assert torch.equal(fit(TRAINERS[name], store, other).outputs, before)
    other = {**targets, FOLD.train[0]: [9.0, 9.0]}
    assert not torch.equal(fit(TRAINERS[name], store, other).outputs, before)


@pytest.mark.parametrize("name", ["linear", "ridge"])
def test_test_features_scale_nothing(name, store, targets, tmp_path):
    changed = [
        (n, frames + 100 * (n == FOLD.test[0])) for n, frames in features()
    ]
    other = FeatureStore(write_features(tmp_path / "store", changed))
    before = fit(TRAINERS[name], store, targets).outputs
    after = fit(TRAINERS[name], other, targets).outputs
    assert torch.allclose(after[1:], before[1:], atol=1e-6)
    assert not torch.allclose(after[0], before[0])


def test_seed_and_fold_decide_alone(store, targets):
    first = fit(TRAINERS["frames"], store, targets)
    torch.rand(7)
    again = fit(TRAINERS["frames"], store, targets)
    assert torch.equal(first.outputs, again.outputs)
    other = fit(TRAINERS["frames"], store, targets, seed=2)
    assert not torch.equal(first.outputs, other.outputs)


def test_the_first_epoch_with_the_lowest_validation_loss(store, targets):
    outcome = fit(TRAINERS["linear"], store, targets)
    losses = [entry["valid_loss"] for entry in outcome.history]
    best = int(np.argmin(losses))
    assert outcome.selection["epoch"] == outcome.history[best]["epoch"]
    means = store.means(FOLD.valid)
    with torch.no_grad():
        found = outcome.head(torch.from_numpy(means)[:, None])
    reference = np.array([targets[name] for name in FOLD.valid])
    concordances = [ccc(reference[:, i], found[:, i]) for i in range(2)]
    assert 1 - np.mean(concordances) == pytest.approx(losses[best], abs=2e-3)


def test_ridge_is_the_closed_form(store, targets):
    outcome = fit(RidgeTrainer([10.0]), store, targets)
    x = store.means(FOLD.train).astype(float)
    y = np.array([targets[name] for name in FOLD.train])
    centre, spread = x.mean(0), x.std(0)
    z = (x - centre) / spread
    weight = np.linalg.solve(z.T @ z + 10 * np.eye(6), z.T @ (y - y.mean(0)))
    test = (store.means(FOLD.test) - centre) / spread
    expected = test @ weight + y.mean(0)
    assert np.allclose(outcome.outputs, expected, atol=1e-8)


def test_ridge_takes_the_penalty_best_on_validation(store, targets):
    wide = RidgeTrainer([1.0, 1e6])
    assert fit(wide, store, targets).selection["alpha"] == 1.0
    constant = {**targets, **{n: [1.0, 1.0] for n in FOLD.valid}}
    # every penalty has a CCC of 0: the strongest one
    assert fit(wide, store, constant).selection["alpha"] == 1e6


def test_a_constant_rating_is_predicted_as_such(store, targets):
    constant = {n: [4.0, values[1]] for n, values in targets.items()}
    outcome = fit(TRAINERS["linear"], store, constant)
    assert outcome.outputs.isfinite().all()
    assert (outcome.outputs[:, 0] - 4).abs().max() < 3


def test_divergence_is_an_error(store, targets):
    wild = functools.partial(torch.optim.SGD, lr=1e30)
    trainer = RegressionTrainer(LinearHead, wild, "mse", 3, 64)
    with pytest.raises(ValueError, match=r"validation loss is (nan|inf)"):
        fit(trainer, store, targets)


def test_the_loop_takes_the_steps_of_the_brain(store, targets):
    """A head of another class is trained by the Brain, on each frame."""

    class Same(LinearHead):
        pass

    means = [(n, torch.from_numpy(store.means([n]))) for n in NAMES]
    centre, spread = moments(store.means(FOLD.train))
    centre, spread = torch.from_numpy(centre), torch.from_numpy(spread)
    scaled = [(n, ((x - centre) / spread).float()) for n, x in means]
    folder = write_features(store.folder.with_name("scaled"), scaled)
    trainers = [
        RegressionTrainer(head, ADAM, "ccc", 4, 16)
        for head in (LinearHead, Same)
    ]
    loop, brain = (fit(t, FeatureStore(folder), targets) for t in trainers)
    assert torch.allclose(loop.outputs, brain.outputs, atol=1e-4)
    for ours, theirs in zip(loop.history, brain.history, strict=True):
        for name, value in ours.items():
            assert value == pytest.approx(theirs[name], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cc", 3, 4), "objective is 'cc'; there are ccc, mse, mae"),
        (("ccc", 0, 4), "number_of_epochs is 0"),
        (("ccc", 3, 0), "batch_size is 0"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        RegressionTrainer(LinearHead, ADAM, *arguments)
    with pytest.raises(ValueError, match="penalties is"):
        RidgeTrainer([0.0])


def run(store, targets, folder, trainer=TRAINERS["ridge"], seeds=(1,)):
    names = ("arousal", "valence")
    wanted = RatingTargets(dict.fromkeys(names, (1, 5)), targets)
    other = Fold("second", FOLD.test, FOLD.valid, FOLD.train)
    return cross_validate(
        trainer, store, wanted, [FOLD, other], seeds, folder,
        {"kind": "test"}, OPTIONS, progress=False,
    )  # fmt: skip


def test_folds_are_kept_and_trained_once(store, targets, tmp_path, monkeypatch):
    runs = run(store, targets, tmp_path, seeds=(1, 2))
    assert [(r["fold"], r["seed"]) for r in runs] == [
        ("only", 1), ("second", 1), ("only", 2), ("second", 2),
    ]  # fmt: skip
    assert runs[1]["reference"] == [targets[name] for name in FOLD.train]
    folder = tmp_path / "folds" / "01" / "seed2"
    head = read_head(folder)
    about = json.loads((folder / "probe.json").read_text())
    assert about["targets"] == ["arousal", "valence"]
    with torch.no_grad():
        found = head.packed(*store.packed(FOLD.train))
    assert torch.allclose(
        found.double(), torch.tensor(runs[3]["predicted"]).double(), atol=2e-2
    )

    trained = []
    original = RidgeTrainer.fit

    def counted(*arguments):
        trained.append(arguments[3].name)
        return original(*arguments)

    monkeypatch.setattr(RidgeTrainer, "fit", counted)
    assert run(store, targets, tmp_path, seeds=(1, 2)) == runs
    assert trained == []
    # an interrupted fold and another rating are trained again, no more
    (tmp_path / "folds" / "01" / "seed2" / "result.json").unlink()
    run(store, targets, tmp_path, seeds=(1, 2))
    assert trained == ["second"]
    run(store, {**targets, FOLD.train[0]: [1.0, 1.0]}, tmp_path)
    assert trained == ["second", "only", "second"]
