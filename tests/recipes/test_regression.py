"""Regression of ratings, from fake trees to results.json and predictions."""

import csv
import json
import sys

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.cli import main
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.regression.probe import RegressionTrainer
from speechbrain_e2v.downstream.regression.targets import rating_scores
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.downstream.trained_heads import read_head, read_run
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from tests.recipes.fake_corpora import (
    RECIPES,
    iemocap,
    make_text,
    mosei,
    mosei_scores,
    mosi,
    msp_rated,
    prepared,
    recipe,
)

PROBES = RECIPES.parent / "hparams" / "probes"
SESSIONS = "leave_one_session_out_next_validates"
CORPUS_OF_VIDEOS = recipe("CMU-MOSEI")
AVD = ["arousal", "valence", "dominance"]
# recipe: (fake tree, ratings, folds)
TREES = {
    "IEMOCAP": (iemocap, AVD, 3),
    "MSP-Podcast": (msp_rated, AVD, 1),
    "CMU-MOSI": (mosi, ["sentiment"], 1),
    "CMU-MOSEI": (mosei_scores, ["sentiment"], 1),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    small = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=3,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    card = {"origin": "test", "pretraining": {"MSP-Podcast": 0.1}}
    return save_encoder(tmp_path_factory.mktemp("encoder"), small, card)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", str
    )


def run(name, yaml, folder, work, *options, strict=False):
    return downstream(
        recipe(name),
        [
            str(yaml),
            *("--data_folder", str(folder), "--output_folder", str(work)),
            *("--feature_cache", str(work.parent / "features")),
            *("--strict_counts", str(strict), "--noprogressbar"),
            *("--device", "cpu", *options),
        ],
    )


@pytest.mark.parametrize("name", TREES)
def test_every_recipe(name, encoder, tmp_path):
    build, names, folds = TREES[name]
    folder = build(tmp_path / "corpus")
    work = tmp_path / "run"
    results = run(
        name, RECIPES / name / "hparams" / "regression.yaml", folder, work,
        *("--encoder", str(encoder), "--number_of_epochs", "2"),
        *("--n_folds", str(folds), "--seeds", "[1, 2]"),
    )  # fmt: skip
    assert results == json.loads((work / "results.json").read_text())
    assert list(results["scales"]) == names
    assert len(results["folds"]) == 2 * folds
    marks = " ".join(results["protocol"]["marks"])
    assert "not the whole corpus" in marks
    assert "no test speaker occurs in training" in marks
    assert ("heard" in marks) == (name == "MSP-Podcast"), marks
    layer = [0, 1, 2, 3] if name.startswith("CMU") else 3
    assert results["feature_layer"] == layer
    # scores are those of the predictions on the disk, seed by seed
    with open(work / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results["n_predictions"] == 2 * results["n_tested"]
    each = []
    for seed in "12":
        reference, predicted = (
            np.array(
                [
                    [float(r[f"{kind}({n})"]) for n in names]
                    for r in rows
                    if r["seed"] == seed
                ]
            )
            for kind in ("reference", "predicted")
        )
        each.append(rating_scores(reference, predicted, results["scales"]))
    for score, value in results["pooled"].items():
        expected = np.mean([scores[score] for scores in each])
        assert value == pytest.approx(expected, abs=1e-4), score
    assert ("acc7_sentiment" in results["pooled"]) == (len(names) == 1)
    folder = work / "folds" / "00" / "seed2"
    head = read_head(folder)
    about = json.loads((folder / "probe.json").read_text())
    assert about["targets"] == names
    assert head.output_layer.out_features == len(names)


def test_iemocap_tests_every_turn_once(encoder, tmp_path):
    folder = iemocap(tmp_path / "c")
    results = run(
        "IEMOCAP", PROBES / "ridge.yaml", folder, tmp_path / "run",
        *("--encoder", str(encoder), "--protocol", SESSIONS, "--n_folds", "5"),
    )  # fmt: skip
    assert results["n_tested"] == 11
    assert [run["n_test"] for run in results["folds"]] == [7, 2, 2]
    assert results["regressor"]["kind"].startswith("ridge regression")
    # other tools read such a run, or say why they do not
    assert main(["audit", str(tmp_path / "run"), "--no_audio"]) == 0
    with pytest.raises(ValueError, match="a regression of arousal, valence"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize("probe", ["mfcc_ridge", "random_ridge",
                                   "random_regression_linear",
                                   "random_regression_frames"])  # fmt: skip
def test_baselines(probe, encoder, tmp_path):
    options = () if "mfcc" in probe else ("--encoder", str(encoder))
    if "regression" in probe:
        options += ("--number_of_epochs", "1", "--objective", "mae")
    results = run(
        "CMU-MOSI", PROBES / f"{probe}.yaml", mosi(tmp_path / "c"),
        tmp_path / "run", "--protocol", "official", "--n_folds", "1", *options,
    )  # fmt: skip
    kind = results["upstream"]["kind"]
    assert ("MFCC" in kind) == ("mfcc" in probe)
    assert ("random" in kind) == ("random" in probe)
    assert results["scales"] == {"sentiment": [-3, 3]}


def test_a_finished_run_is_read(encoder, tmp_path, monkeypatch):
    folder = msp_rated(tmp_path / "c")
    yaml = RECIPES / "MSP-Podcast" / "hparams" / "regression.yaml"
    options = ("--encoder", str(encoder), "--number_of_epochs", "1")
    first = run("MSP-Podcast", yaml, folder, tmp_path / "run", *options)
    monkeypatch.delattr(RegressionTrainer, "fit")
    again = run("MSP-Podcast", yaml, folder, tmp_path / "run", *options)
    assert again["pooled"] == first["pooled"]


def test_errors_name_what_is_wrong(encoder, tmp_path):
    yaml = RECIPES / "IEMOCAP" / "hparams" / "regression.yaml"
    options = ("--encoder", str(encoder))

    def message(name, folder, *more):
        with pytest.raises(SystemExit) as caught:
            run(name, yaml, folder, tmp_path / "run", *options, *more)
        return str(caught.value)

    folder = iemocap(tmp_path / "c")
    assert "EmoDB: its recipe knows no ratings" in message("EmoDB", folder)
    assert "unknown option --targets" in message(
        "IEMOCAP", folder, "--targets", "x"
    )
    assert "objective is 'cccc'; there are ccc, mse, mae" in message(
        "IEMOCAP", folder, "--objective", "cccc"
    )
    path = folder / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    make_text(path, path.read_text().replace("2.5000, 3.0", "2.5000, 8.0", 1))
    assert "Ses01F_impro01_F000.wav): arousal is 8.0" in message(
        "IEMOCAP", folder
    )
    make_text(tmp_path / "x.yaml", f"base: {yaml}\ntask: regression\n")
    with pytest.raises(SystemExit, match="task is 'regression'; name a class"):
        run("IEMOCAP", tmp_path / "x.yaml", folder, tmp_path / "r", *options)


def test_mosei_needs_the_sentiment_itself(encoder, tmp_path):
    yaml = RECIPES / "CMU-MOSEI" / "hparams" / "regression.yaml"
    with pytest.raises(SystemExit, match="no label.csv below it"):
        run("CMU-MOSEI", yaml, mosei(tmp_path / "c"), tmp_path / "r",
            "--encoder", str(encoder))  # fmt: skip


class Rectified:
    """An upstream from elsewhere: two features, 100 frames a second."""

    def __init__(self, device):
        self.digest, self.dim = "rectified", 2
        self.description = {"kind": "rectified waveform"}

    def extract(self, waveforms):
        return [
            torch.stack([w[::160].relu(), (-w[::160]).relu()], dim=1)
            for w in waveforms
        ]


@pytest.mark.parametrize("probe", ["linear_probe", "regression_frames"])
def test_any_upstream_can_be_named(probe, tmp_path):
    fragments = PROBES.parent / "fragments"
    bases = [f"{fragments / name}.yaml" for name in ("frozen_features", probe)]
    make_text(
        tmp_path / "x.yaml",
        f"base: [{', '.join(bases)}]\nprotocol: official\nn_folds: 1\n"
        f"output_folder: x\nupstream: !name:{__name__}.Rectified\n",
    )
    corpus = mosi(tmp_path / "c")
    labels = corpus / "Raw/Labels/OpinionLevelSentiment.csv"
    neutral, negative = "03bSnISJMiM,0,0.0", "03bSnISJMiM,0,-1.0"
    text = labels.read_text("utf-8")
    assert neutral in text  # of training, which has one class without it
    labels.write_text(text.replace(neutral, negative), "utf-8")
    results = run(
        "CMU-MOSI", tmp_path / "x.yaml", corpus,
        tmp_path / "run", "--number_of_epochs", "1", "--seeds", "[1]",
    )  # fmt: skip
    assert results["upstream"] == {"kind": "rectified waveform"}
    assert results["feature_layer"] is None
    head = read_head(tmp_path / "run/folds/00/seed1")
    assert head.frame_layer.in_features == 2


def test_segments_are_cut_by_time(tmp_path):
    corpus = CORPUS_OF_VIDEOS.rated
    rows, _ = prepared(corpus, mosei_scores(tmp_path / "c"), tmp_path / "o")
    utterances = list(rows.values())
    upstream = Rectified("cpu")
    store = cached_features(tmp_path / "f", upstream, utterances)
    lengths = set()
    for u in utterances:
        samples, rate = soundfile.read(u.wav, dtype="float32")
        piece = samples[round(u.start * rate) : round(u.stop * rate)]
        (expected,) = upstream.extract([torch.from_numpy(piece)])
        assert np.array_equal(store.utterance(u.id), expected.numpy()), u.id
        lengths.add(len(piece))
    assert lengths == {12800, 16000}  # of 32,000 samples a video


def test_strict_counts_are_of_the_ratings(encoder, tmp_path):
    yaml = RECIPES / "IEMOCAP" / "hparams" / "regression.yaml"
    with pytest.raises(SystemExit, match=r"utts +10039 +11"):
        run("IEMOCAP", yaml, iemocap(tmp_path / "c"), tmp_path / "r",
            "--encoder", str(encoder), strict=True)  # fmt: skip
