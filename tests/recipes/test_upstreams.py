"""Recipes on the features of other upstreams, by name."""

import json
import sys

import pytest

from speechbrain_e2v.downstream.export import classifier_from_run
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


def test_layers_are_weighed_as_many_as_there_are(run):
    yaml = "../../hparams/probes/weighted.yaml"
    random = ("--upstream", "random", "--sizes", TINY)
    results = run(*random, "--number_of_epochs", "1", yaml=yaml)
    assert results["upstream"]["layers"] == 2
    assert results["classifier"]["head"]["num_layers"] == 2
    with pytest.raises(SystemExit, match="is read otherwise: --layer weighted"):
        run(*random, "--layer", "last", yaml=yaml)
    with pytest.raises(SystemExit, match="weighs layers, but .* MFCCs has no"):
        run("--upstream", "mfcc", yaml=yaml)


@pytest.mark.parametrize(
    ("network", "head"),
    [("dst", "Dst"), ("mstr", "Mstr"), ("query2emo", "Query2Emo")],
)
def test_networks_of_others_on_any_frames(run, network, head, tmp_path):
    random = ("--upstream", "random", "--sizes", TINY)
    yaml = f"../../hparams/probes/{network}.yaml"
    results = run(*random, "--number_of_epochs", "2", yaml=yaml)
    assert results["classifier"]["head"]["name"] == head
    assert results["n_predictions"] == 48
    folder = tmp_path / "results" / "random-emotion2vec" / network
    history = json.loads(
        next(folder.rglob("folds/00/*/result.json")).read_text()
    )["history"]
    # Half of a cosine, then its end.
    assert history[1]["lr"] == pytest.approx(history[0]["lr"] * 0.505)
    with pytest.raises(ValueError, match=f"trained a {head}; only .* can be"):
        classifier_from_run(folder / "speaker_kfold")
