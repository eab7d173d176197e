"""Heads trained together against the same heads trained one by one."""

import dataclasses

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.batched_heads import BatchedHeads
from speechbrain_e2v.downstream.classification.probe import ProbeTrainer
from speechbrain_e2v.downstream.classification.utterance_probe import (
    UtteranceProbeTrainer,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features
from speechbrain_e2v.lobes.heads import FrameMLPHead
from speechbrain_e2v.training.yaml_bases import merged_yaml

CPU = {"device": "cpu", "noprogressbar": True}
NAMES = [f"u{i:02d}" for i in range(90)]
LABELS = {name: i % 3 for i, name in enumerate(NAMES)}
# 48, 49 and 33 utterances in batches of 16: three, four and three steps.
FOLDS = [
    Fold("a", tuple(NAMES[:48]), tuple(NAMES[48:60]), tuple(NAMES[60:])),
    Fold("b", tuple(NAMES[41:]), tuple(NAMES[:20]), tuple(NAMES[20:41])),
    Fold("c", tuple(NAMES[10:43]), tuple(NAMES[:10]), tuple(NAMES[43:50])),
]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Frames of each utterance, and their means as stores of one frame."""
    torch.manual_seed(0)
    centres = torch.randn(3, 8)
    frames = {
        name: torch.randn(3 + i % 7, 8) + 0.3 * centres[LABELS[name]]
        for i, name in enumerate(NAMES)
    }
    folder = tmp_path_factory.mktemp("stores")
    means = {name: x.mean(0, keepdim=True) for name, x in frames.items()}
    return [
        FeatureStore(write_features(folder / kind, features.items()))
        for kind, features in (("frames", frames), ("means", means))
    ]


def settings_of(repository, fragment):
    path = repository / "hparams" / "fragments" / f"{fragment}_probe.yaml"
    overrides = {"number_of_epochs": 14, "batch_size": 16}
    with open(path, encoding="utf-8") as file:
        return load_hyperpyyaml(file, overrides)["settings"]


def test_the_epoch_is_chosen_by_the_score_of_the_task(stores, repository):
    frames, _ = stores
    labels = {n: int(i % 5 == 0) for i, n in enumerate(NAMES)}  # 20 % and 80 %
    chosen = {}
    for score in ("wa", "ua", "wf1"):
        settings = dataclasses.replace(
            settings_of(repository, "sentiment"), selection=score
        )
        trainer = UtteranceProbeTrainer(settings)
        assert trainer.description["selection"].endswith(score.upper())
        planned = [(FOLDS[0], seed) for seed in range(1, 9)]
        results = trainer.fit_all(frames, labels, planned, 2, CPU, lambda: None)
        chosen[score] = []
        for _, result in results:
            values = [entry[f"valid_{score}"] for entry in result.history]
            assert result.selection["epoch"] == 1 + values.index(max(values))
            assert "valid_wa" in result.selection
            chosen[score].append(result.selection["epoch"])
    assert chosen["ua"] != chosen["wa"]
    with pytest.raises(ValueError, match="selection is 'f2'; there are wa, ua"):
        dataclasses.replace(settings, selection="f2")


def test_sentiment_takes_the_time_mean_and_wf1(repository):
    path = repository / "hparams" / "fragments" / "sentiment_probe.yaml"
    with open(path, encoding="utf-8") as file:
        trainer = load_hyperpyyaml(file)["classifier"]
    assert isinstance(trainer, UtteranceProbeTrainer)
    about = trainer.description
    assert about["head"] == {"name": "FrameMLPHead", "hidden": 256}
    assert about["selection"] == "first epoch with the best validation WF1"


@pytest.mark.parametrize("fragment", ["linear", "sentiment"])
def test_together_equals_one_by_one(stores, repository, fragment):
    frames, means = stores
    settings = settings_of(repository, fragment)
    planned = [(fold, seed) for seed in (1, 2) for fold in FOLDS]
    ticks = []
    together = dict(
        UtteranceProbeTrainer(settings).fit_all(
            frames, LABELS, planned, 3, CPU, lambda: ticks.append(1)
        )
    )
    assert sorted(together) == list(range(6))
    assert len(ticks) == 14 * 6  # epochs of folds
    one_by_one = dict(
        ProbeTrainer(settings).fit_all(
            means, LABELS, planned, 3, CPU, lambda: None
        )
    )
    for position, expected in one_by_one.items():
        found = together[position]
        assert found.arguments == expected.arguments
        for key in ("epoch", "valid_wa", "lr", "momentum"):
            assert found.selection[key] == expected.selection[key], key
        for mine, theirs in zip(found.history, expected.history, strict=True):
            assert mine["train_loss"] == pytest.approx(
                theirs["train_loss"], abs=1e-5
            )
        torch.testing.assert_close(
            found.outputs, expected.outputs, atol=1e-5, rtol=1e-4
        )
        for name, weight in expected.head.state_dict().items():
            torch.testing.assert_close(
                found.head.state_dict()[name], weight, atol=1e-5, rtol=1e-4
            )


def test_the_best_epoch_is_tested_not_the_last(stores, repository):
    _, means = stores
    trainer = UtteranceProbeTrainer(settings_of(repository, "linear"))
    ((_, outcome),) = trainer.fit_all(
        means, LABELS, [(FOLDS[1], 1)], 3, CPU, lambda: None
    )
    accuracies = [entry["valid_wa"] for entry in outcome.history]
    assert outcome.selection["epoch"] == 1 + accuracies.index(max(accuracies))
    assert outcome.selection["epoch"] < 14


def test_a_head_does_not_notice_its_company():
    torch.manual_seed(0)
    vectors, classes = torch.randn(20, 4), torch.arange(20) % 3
    heads = [FrameMLPHead(4, 3, hidden=8) for _ in range(3)]

    def trained(chosen):
        together = BatchedHeads(
            [heads[i] for i in chosen],
            vectors,
            classes,
            torch.optim.RMSprop,
            lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0),
        )
        rows = [[[i, i + 1, i + 5], [i + 7]] for i in range(3)]
        for _ in range(5):
            together.train_epoch([rows[i] for i in chosen])
        return together.logits([list(range(20))] * len(chosen))[0]

    torch.testing.assert_close(trained([0, 1, 2]), trained([0]))
    assert not torch.allclose(trained([1]), trained([0]))


def test_heads_with_buffers_are_refused():
    heads = [torch.nn.BatchNorm1d(3)]
    with pytest.raises(ValueError, match="BatchNorm1d has buffers"):
        BatchedHeads(heads, torch.zeros(2, 3), torch.zeros(2), None, None)


def test_superb_clips_gradients_and_only_one_by_one(repository):
    path = repository / "hparams/probes/superb.yaml"
    hparams = load_hyperpyyaml(
        merged_yaml(path),
        {"data_folder": "x", "encoder": "x", "protocol": "x", "n_folds": 2},
    )
    said = hparams["classifier"].description
    assert said["max_grad_norm"] == 1.0 and said["batch_size"] == 32
    assert said["optimizer"] == {"name": "Adam", "lr": 0.0001}
    assert said["head"]["name"] == "WeightedSumHead"
    with pytest.raises(ValueError, match="does not clip"):
        UtteranceProbeTrainer(hparams["settings"])
