"""Recipes on the features of other upstreams, by name."""

import json
import sys

import pytest

from speechbrain_e2v.downstream.run import downstream
from tests.recipes.fake_corpora import RECIPES, recipe

TINY = (
    "{depth: 1, prenet_depth: 1, embed_dim: 16, num_heads: 4, "
    "conv_channels: 8, pos_conv_groups: 4}"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", str
    )


@pytest.fixture
def run(generated_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*options, yaml="hparams/linear.yaml"):
        return downstream(
            recipe("Synthetic"),
            [
                str(RECIPES / "Synthetic" / yaml),
                *("--data_folder", str(generated_corpus)),
                *("--n_folds", "3", "--protocol", "speaker_kfold"),
                *("--noprogressbar", "--device", "cpu", *options),
            ],
        )

    return run


def test_same_folds_another_folder(run, tmp_path):
    random = ("--upstream", "random", "--sizes", TINY)
    epochs = ("--number_of_epochs", "2")
    one = run("--upstream", "mfcc", *epochs)
    two = run(*random, *epochs)
    for results, name in ((one, "mfcc"), (two, "random-emotion2vec")):
        folder = tmp_path / "results" / name / "linear" / "speaker_kfold"
        assert json.loads((folder / "results.json").read_text()) == results
    assert one["classifier"] == two["classifier"]
    assert one["protocol"] == two["protocol"]
    assert one["upstream"]["kind"] == "statistics of MFCCs"
    assert two["upstream"]["layers"] == 2
    assert two["upstream"]["parameters"] > 1000


def test_a_head_of_other_layers_is_refused(run):
    yaml = "../../hparams/probes/weighted.yaml"
    with pytest.raises(SystemExit, match="12, but .* has 2: --num_layers 2"):
        run("--upstream", "random", "--sizes", TINY, yaml=yaml)
    with pytest.raises(SystemExit, match="12, but .* MFCCs has none"):
        run("--upstream", "mfcc", yaml=yaml)
