"""CREMA-D by its listeners: trained on votes, and scored against them."""

import json
import sys

import torch

from speechbrain_e2v.downstream.export import trained_classifier
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from tests.recipes.fake_corpora import RECIPES, crema_d, recipe


def test_labels_and_votes_are_scored_alike(tmp_path, monkeypatch):
    torch.manual_seed(0)
    small = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    encoder = save_encoder(tmp_path / "encoder", small, {"origin": "test"})
    folder = crema_d(tmp_path / "corpus")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    found = {}
    yamls = {
        "votes": RECIPES / "CREMA-D/hparams/vote_logistic.yaml",
        "labels": RECIPES.parent / "hparams/probes/logistic.yaml",
    }
    for name, path in yamls.items():
        results = downstream(
            recipe("CREMA-D"),
            [
                str(path),
                *("--data_folder", str(folder), "--encoder", str(encoder)),
                *("--output_folder", str(tmp_path / name)),
                *("--feature_cache", str(tmp_path / "features")),
                *("--strict_counts", "False", "--protocol", "speaker_kfold"),
                *("--n_folds", "4", "--seeds", "[1]"),
                *("--noprogressbar", "--device", "cpu"),
            ],
        )
        written = json.loads((tmp_path / name / "results.json").read_text())
        assert written["votes"] == results["votes"]
        assert (results["votes"]["utterances"], results["counts"]) == (
            8,
            dict.fromkeys(results["classes"], 0) | {"anger": 4, "sadness": 4},
        )
        found[name] = results["votes"]
    # As any run, what learned from votes becomes a classifier.
    trained = trained_classifier(tmp_path / "votes")
    assert trained.about["compared"]["largest_difference"] < 1e-5
    # Two of three heard the label, one neutral, which no label ever says.
    assert found["votes"]["nll"] < found["labels"]["nll"]
    assert found["votes"]["js"] < found["labels"]["js"]
