"""Finished folds are kept, changed ones are trained again."""

import functools
import json

import pytest
import torch
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold, make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.classification.probe_settings import (
    ProbeSettings,
)
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.classification.utterance_probe import (
    UtteranceProbeTrainer,
)
from speechbrain_e2v.downstream.cross_validation import FoldRun, cross_validate
from speechbrain_e2v.downstream.data import require_learning
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.downstream.trained_heads import read_head
from speechbrain_e2v.files.documents import BadDocument
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features
from speechbrain_e2v.lobes.heads import FrameMLPHead

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


def utterance_probe():
    settings = ProbeSettings(
        functools.partial(FrameMLPHead, hidden=4),
        functools.partial(torch.optim.Adam, lr=0.01),
        functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1),
        number_of_epochs=2,
    )
    return UtteranceProbeTrainer(settings)


def test_heads_trained_together_are_kept_like_others(run):
    results = run(utterance_probe())
    assert run(utterance_probe()) == results
    more = run(utterance_probe(), seeds=(2, 3))
    assert more[:2] == results[2:]


def test_every_fold_says_what_trains_validates_and_tests(run, tmp_path):
    run(Counting())
    for number, fold in enumerate(FOLDS):
        text = (tmp_path / f"out/folds/{number:02d}/ids.json").read_text()
        assert json.loads(text) == {
            "fold": fold.name,
            "train": list(fold.train),
            "valid": list(fold.valid),
            "test": list(fold.test),
        }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings_sha256": None}, "settings_sha256"),
        ({"test": "u00"}, "test"),
        ({"predicted": [0, 1]}, "4 test utterances have"),
        ({"posteriors": [[0.5, "x"]] * 4}, "posteriors"),
        ([], "expected `object`"),
        (None, "input data was truncated"),
    ],
)
def test_a_damaged_result_is_named(run, tmp_path, change, message):
    run(Counting())
    path = tmp_path / "out" / "folds" / "01" / "seed2" / "result.json"
    kept = json.loads(path.read_text())
    broken = {**kept, **change} if isinstance(change, dict) else change
    path.write_text("" if change is None else json.dumps(broken))
    with pytest.raises(BadDocument) as error:
        run(Counting())
    assert f"{path}: " in str(error.value) and message in str(error.value)
    assert "delete it, and the fold is trained again" in str(error.value)
    path.unlink()
    again = Counting()
    run(again)
    assert again.trained == 1


def test_a_loss_that_is_no_number_is_kept_as_none(tmp_path):
    fold = FOLDS[0]
    run = FoldRun(fold, 1, tmp_path / "seed1", "12")
    entry = {"epoch": 1, "train_loss": float("nan"), "valid_wa": 25.0}
    entries = {"reference": [0] * 4, "predicted": [0] * 4, "seconds": 1.0}
    result = FoldResult(None, {}, torch.eye(4), entry | {"train_loss": 1.0},
                        [entry])  # fmt: skip
    assert run.keep(result, {}, entries) == run.finished()
    assert run.finished()["history"][0]["train_loss"] is None
    assert not (tmp_path / "seed1" / "probe.json").exists()


def test_saved_probe_gives_the_saved_posteriors(run, tmp_path):
    results = run(Counting())
    folder = tmp_path / "out" / "folds" / "01" / "seed2"
    head = read_head(folder)
    about = json.loads((folder / "probe.json").read_text())
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


def test_a_fold_that_trains_on_one_class_is_refused():
    """Two speakers, each of whom has one class."""
    rows = [
        Utterance(f"{s}{i}", "x.wav", spk=s, emo=e)
        for s, e in (("old", "angry"), ("young", "sad"))
        for i in range(5)
    ]
    folds = make_folds("leave_one_speaker_out_carved", rows, 2, 1)
    with pytest.raises(ValueError, match="speaker old: all 4 .* are 'sad'"):
        require_learning(LogisticTrainer(), folds, rows)
