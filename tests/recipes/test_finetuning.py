"""Fine-tuning of recipes, from fake trees to an exported encoder."""

import json
import sys

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.published.load import read_pretrained
from tests.recipes.fake_corpora import RECIPES, make_wav, msp_rated, recipe

PROBES = RECIPES.parent / "hparams" / "probes"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", str
    )


def run(name, yaml, folder, encoder, work, *options):
    return downstream(
        recipe(name),
        [
            str(yaml),
            *("--data_folder", str(folder), "--encoder", str(encoder)),
            *("--output_folder", str(work), "--strict_counts", "False"),
            *("--number_of_epochs", "1", "--device", "cpu"),
            *("--noprogressbar", *options),
        ],
    )


@pytest.fixture(scope="module")
def spoken(generated_corpus):
    return generated_corpus


FOLDS = ("--protocol", "leave_one_speaker_out", "--n_folds", "4")


def test_what_is_exported_is_what_was_tuned(spoken, encoder, tmp_path):
    """Stock EncoderClassifier, extraction and FunASR's layout agree."""
    work = tmp_path / "run"
    yaml = RECIPES / "Synthetic" / "hparams" / "finetune.yaml"
    # a rate so high that the tuned encoder is far from the first one
    results = run(
        "Synthetic", yaml, spoken, encoder, work, *FOLDS,
        *("--encoder_lr", "0.01", "--batch_size", "12"),
    )  # fmt: skip
    assert results["task"] == "emotion classification, fine-tuned encoder"
    assert results["classifier"]["kind"] == "fine-tuning"
    assert len(results["folds"]) == 4
    assert not list((work / "save").iterdir())
    assert main(["table", str(work)]) == 0  # its schema knows the description
    export, layout = tmp_path / "classifier", tmp_path / "funasr"
    command = ["export", str(work), str(export), "--fold", "0"]
    assert main([*command, "--no_calibration"]) == 0
    assert main(["convert", str(export), str(layout), "--to", "funasr"]) == 0
    fold = json.loads((work / "folds/00/seed42/result.json").read_text())
    stock = EncoderClassifier.from_hparams(str(export))
    published = read_pretrained(layout)
    rows = {u.id: u for u in read_manifest(work / "manifest" / "all.json")}
    for name, expected in zip(fold["test"], fold["posteriors"], strict=True):
        wav, _ = soundfile.read(rows[name].wav, dtype="float32")
        wav = torch.from_numpy(wav)[None]
        found = stock.classify_batch(wav)[0].exp()[0]
        assert np.allclose(found.numpy(), expected, atol=1e-5)
        normalised = torch.nn.functional.layer_norm(wav, wav.shape[-1:])
        with torch.no_grad():
            pooled = published.encoder(normalised).mean(1)
        theirs = published.head.probabilities(pooled)[0]
        assert np.allclose(theirs.numpy(), expected, atol=1e-5)
    first = read_pretrained(encoder).encoder.state_dict()
    tuned = published.encoder.state_dict()
    assert all(
        torch.equal(first[n], tuned[n]) for n in first if "frontend" in n
    )
    assert not torch.equal(
        first["projection.1.bias"], tuned["projection.1.bias"]
    )


@pytest.mark.parametrize(
    "name", ["top", "lora", "bitfit", "gradual", "augmented", "votes"]
)
def test_every_yaml_runs(name, spoken, encoder, tmp_path):
    options = {
        "top": ("--top_layers", "1"),
        "gradual": ("--freeze_updates", "1", "--updates_per_block", "1"),
    }
    results = run(
        "Synthetic", PROBES / f"finetune_{name}.yaml", spoken, encoder,
        tmp_path, "--protocol", "speaker_kfold", "--n_folds", "3",
        *options.get(name, ()),
    )  # fmt: skip
    assert len(results["folds"]) == 3
    assert all(fold["parameters"] > 102 for fold in results["folds"])


def test_the_challenges_baselines(encoder, tmp_path):
    folder = msp_rated(tmp_path / "corpus")
    make_wav(folder / "Audios" / "MSP-PODCAST_0_4.wav")
    with open(folder / "Labels/labels_concensus.csv", "a") as table:
        table.write("MSP-PODCAST_0_4.wav,A,3.0,1.5,6.5,18,Male,Train\n")
    hparams = RECIPES / "MSP-Podcast" / "hparams"
    options = ("--batch_size", "2", "--grad_accumulation_factor", "1")
    found = run(
        "MSP-Podcast", hparams / "finetune_categorical.yaml", folder, encoder,
        tmp_path / "classes", *options,
    )  # fmt: skip
    assert len(found["classes"]) == 8
    # the X of training and the O of Test2 are left out
    assert found["folds"][0]["n_train"] == 2
    assert "MACRO_F1" in found["classifier"]["selection"]
    assert found["classifier"]["run_options"]["max_grad_norm"] is None
    found = run(
        "MSP-Podcast", hparams / "finetune_attributes.yaml", folder, encoder,
        tmp_path / "ratings", *options,
    )  # fmt: skip
    assert list(found["scales"]) == ["arousal", "valence", "dominance"]
    assert found["folds"][0]["n_train"] == 3
    assert found["regressor"]["training_objective"]["loss"] == "ccc"
    multitask = run(
        "MSP-Podcast", PROBES / "finetune_multitask.yaml", folder, encoder,
        tmp_path / "both", "--protocol", "official", "--n_folds", "1",
        "--batch_size", "1",
    )  # fmt: skip
    assert "valid_ccc" in multitask["folds"][0]["selection"]


def test_an_upstream_without_an_encoder_is_refused(spoken, tmp_path):
    yaml = RECIPES / "Synthetic" / "hparams" / "finetune.yaml"
    with pytest.raises(SystemExit, match="no encoder to tune"):
        downstream(
            recipe("Synthetic"),
            [
                str(yaml), "--upstream", "mfcc", "--data_folder", str(spoken),
                "--output_folder", str(tmp_path / "x"), "--device", "cpu",
            ],
        )  # fmt: skip
