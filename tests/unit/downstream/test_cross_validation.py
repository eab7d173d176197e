"""Finished folds are kept, changed ones are trained again."""

import json

import pytest
import torch
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.downstream.fold_result import load_head
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features

NAMES = [f"u{i:02d}" for i in range(24)]
LABELS = {name: i % 2 for i, name in enumerate(NAMES)}
FOLDS = [
    Fold("first", tuple(NAMES[8:]), tuple(NAMES[4:8]), tuple(NAMES[:4])),
    Fold("second", tuple(NAMES[:16]), tuple(NAMES[16:20]), tuple(NAMES[20:])),
]


class Counting(LogisticTrainer):
    """Counts how often it was asked to train; may stop half-way."""

    def __init__(self, *args, fail_at=None):
        super().__init__(*args)
        self.trained = 0
        self.fail_at = fail_at

    def fit(self, *args):
        if self.trained == self.fail_at:
            raise KeyboardInterrupt
        self.trained += 1
        return super().fit(*args)


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    store = FeatureStore(
        write_features(
            tmp_path / "store", [(n, torch.randn(3, 5)) for n in NAMES]
        )
    )

    def call(trainer, labels=LABELS, folds=FOLDS, run_opts=None, seeds=(1, 2)):
        targets = ClassTargets(("a", "b"), labels)
        return cross_validate(
            trainer, store, targets, folds, seeds, tmp_path / "out",
            {"kind": "noise"}, run_opts, progress=False,
        )  # fmt: skip

    return call


def test_finished_folds_are_read_and_equal(run):
    first, again = Counting(), Counting()
    results = run(first)
    assert first.trained == 4
    assert run(again) == results
    assert again.trained == 0


def test_an_interrupted_run_continues(run):
    with pytest.raises(KeyboardInterrupt):
        run(Counting(fail_at=3))
    rest = Counting()
    results = run(rest)
    assert rest.trained == 1
    assert [(r["seed"], r["fold"]) for r in results] == [
        (1, "first"), (1, "second"), (2, "first"), (2, "second"),
    ]  # fmt: skip


def test_whatever_changes_the_result_trains_again(run):
    run(Counting())
    other_labels = {**LABELS, NAMES[0]: 1 - LABELS[NAMES[0]]}
    bf16 = RunOptions.from_dictionary({"precision": "bf16"})
    gpu = RunOptions.from_dictionary({"device": "cpu"})
    for change, expected in (
        ({"labels": other_labels}, 4),
        ({"run_opts": bf16}, 4),
        ({"run_opts": gpu}, 4),  # since bf16 has replaced the first results
        ({"seeds": (1, 3)}, 2),
        ({}, 0),  # seeds 1 and 2 are still there
    ):
        trainer = Counting()
        run(trainer, **change)
        assert trainer.trained == expected, change
    trainer = Counting([0.5])
    run(trainer)
    assert trainer.trained == 4


def test_saved_probe_gives_the_saved_posteriors(run, tmp_path):
    results = run(Counting())
    folder = tmp_path / "out" / "folds" / "01" / "seed2"
    head, about = load_head(folder)
    assert about["classes"] == ["a", "b"]
    assert about["upstream"] == {"kind": "noise"}
    (expected,) = [
        r for r in results if (r["seed"], r["fold"]) == (2, "second")
    ]
    store = FeatureStore(tmp_path / "store")
    with torch.no_grad():
        found = head.packed(*store.packed(expected["test"])).softmax(1)
    torch.testing.assert_close(
        found, torch.tensor(expected["posteriors"]), atol=1e-5, rtol=0
    )
    saved = json.loads((folder / "result.json").read_text())
    assert saved == expected
