"""Rounds of pseudo-labels on generated speech, as a user runs them."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from unit.inference.tiny import tiny_encoder, tiny_trained

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import read_manifest, write_manifest
from speechbrain_e2v.corpora.prepare import prepare
from speechbrain_e2v.downstream.evaluation import Posteriors
from speechbrain_e2v.downstream.pseudo_labels import rounds
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import (
    NINE,
    with_nine_tokens,
)
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.inference.own_encoder import published_head
from speechbrain_e2v.inference.trained import classifier_from_published
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import Pretrained
from speechbrain_e2v.published.write import write_funasr
from tests.recipes.fake_corpora import RECIPES, recipe, resd

FILES = ("round.json", "audit.json", "judgements.csv", "labels.csv",
         "classes.txt", "manifest/all.json")  # fmt: skip


@pytest.fixture(scope="module")
def manifests(generated_corpus, tmp_path_factory):
    """A speaker each: train, valid, test; and a pool without labels."""
    folder = tmp_path_factory.mktemp("parts")
    found = read_manifest(
        prepare(
            recipe("Synthetic"), generated_corpus, folder / "all",
            strict_counts=False, progress=False,
        )
    )  # fmt: skip
    speakers = sorted({u.spk for u in found})
    paths = {}
    for part, speaker in zip(
        ("train", "valid", "test", "pool"), speakers, strict=True
    ):
        rows = [u for u in found if u.spk == speaker]
        if part == "pool":
            rows = [replace(u, emo=None, emo_raw="") for u in rows]
        path = write_manifest(folder / f"{part}.json", rows, generated_corpus)
        paths[part] = str(path)
    return paths


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    place = tmp_path_factory.mktemp("teacher") / "mine"
    return str(write_classifier(place, tiny_trained(gain=20.0)))


def command(teacher, manifests, output, *more):
    parts = [
        f"--{p}={manifests[p]}" for p in ("pool", "train", "valid", "test")
    ]
    return ["pseudolabel", teacher, *parts, "--output", str(output),
            "--quiet", "--device", "cpu", *more]  # fmt: skip


def content(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def test_a_round_killed_and_run_again_is_the_same(
    teacher, manifests, tmp_path, monkeypatch, capsys
):
    asked = ("--threshold", "0.4", "--quota", "3", "--batch_seconds", "4")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(command(teacher, manifests, whole, *asked)) == 0
    printed = capsys.readouterr().out
    about = json.loads((whole / "round.json").read_text())
    kept = read_manifest(whole / "manifest" / "all.json")
    assert len(kept) == about["kept"] > 0
    assert max(about["per_class"].values()) <= 3
    assert {u.emo for u in kept} <= set(NINE)
    for row in kept:
        assert row.extra["reason"] == "kept" and row.extra["source"]
        assert row.extra["confidence"] >= 0.4
        assert row.stop is not None and row.split == "train"
    assert "audit: " in printed and "finetune.yaml" in printed
    table = (whole / "labels.csv").read_text().splitlines()
    assert len(table) == 1 + 12 * 3 + len(kept)
    assert (whole / "classes.txt").read_text().split() == list(NINE)

    real, calls = Posteriors.extract, []

    def dies(self, waveforms):
        calls.append(len(waveforms))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, waveforms)

    monkeypatch.setattr(Posteriors, "extract", dies)
    assert main(command(teacher, manifests, cut, *asked)) == 130
    assert not (cut / "round.json").exists()
    assert main(command(teacher, manifests, cut, *asked)) == 0
    done = len(calls)
    assert content(cut) == content(whole)
    assert main(command(teacher, manifests, cut, *asked)) == 0
    assert len(calls) == done and content(cut) == content(whole)


def test_two_teachers_and_texts(teacher, manifests, tmp_path, capsys):
    other = tiny_trained(gain=20.0)
    for parameter in other.classifier.output_layer.parameters():
        parameter.data = parameter.data.roll(1, 0)  # never the same class
    second = str(write_classifier(tmp_path / "other", other))
    pool = [u.id for u in read_manifest(manifests["pool"])]
    texts = tmp_path / "texts.csv"
    lines = [f"{name},negative" for name in pool[:9]]
    texts.write_text("\n".join(["id,sentiment", *lines, ""]))
    asked = ("--threshold", "0.01", "--as_listed", "--sentiment", str(texts))
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert main(command(teacher, manifests, alone, *asked)) == 0
    more = (*asked, "--second", second)
    assert main(command(teacher, manifests, both, *more)) == 0
    capsys.readouterr()
    reasons = [
        json.loads((folder / "round.json").read_text())["reasons"]
        for folder in (alone, both)
    ]
    assert reasons[0]["sentiment of the text is not known"] <= 3
    assert not any("second" in reason for reason in reasons[0])
    assert all("second teacher says" in reason for reason in reasons[1])
    assert sum(reasons[0].values()) == sum(reasons[1].values()) == len(pool)
    for row in read_manifest(alone / "manifest" / "all.json"):
        assert row.emo != "happy" and row.start is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (["--precision", "0.9", "--valid", "TEST"], "cannot audit them"),
        ([], "give one of threshold"),
        (["--threshold", "1.5"], "threshold is 1.5"),
        (["--threshold", "0.5", "--second", "SAME"], "it always agrees"),
        (["--threshold", "0.5", "--pool", "TEST"], "in the pool and has a"),
        (["--threshold", "0.5", "--longest", "1"], "longest must be"),
    ],
)
def test_bad_input_is_one_line(
    change, problem, teacher, manifests, tmp_path, capsys
):
    names = {"TEST": manifests["test"], "SAME": teacher}
    more = [names.get(word, word) for word in change]
    assert main(command(teacher, manifests, tmp_path / "o", *more)) == 1
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1
    assert not (tmp_path / "o" / "round.json").exists()


def test_rounds_train_label_and_train_again(
    manifests, generated_corpus, tmp_path, monkeypatch, capsys
):
    encoder = save_encoder(tmp_path / "encoder", tiny_encoder(), {"name": "x"})
    options = ["--feature_cache", str(tmp_path / "features"), "--seeds", "[1]",
               "--strict_counts", "False", "--noprogressbar",
               "--device", "cpu"]  # fmt: skip
    step = {
        "hparams": str(RECIPES.parent / "hparams/probes/logistic.yaml"),
        "encoder": str(encoder),
        "options": options,
    }
    chain = {
        "output": str(tmp_path / "rounds"),
        **{part: manifests[part] for part in ("train", "valid", "test")},
        "pool": [manifests["pool"]],
        "recipe": str(RECIPES / "Custom" / "train.py"),
        "rounds": [
            {"name": "seed", "threshold": 0.05, "quota": 2, **step},
            {"name": "base", **step},
        ],
    }
    path = tmp_path / "rounds.yaml"
    path.write_text(json.dumps(chain))  # which is YAML, too
    trained = []

    def train(argv):  # as the process does, without starting one
        trained.append(argv)
        downstream(recipe("Custom"), argv[1:])

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(rounds, "_train", train)
    assert main(["pseudolabel", "--rounds", str(path), "--quiet"]) == 0
    printed = capsys.readouterr().out
    output = tmp_path / "rounds"
    entries = json.loads((output / "rounds.json").read_text())
    assert [entry["name"] for entry in entries] == ["seed", "base"]
    assert entries[0]["kept"] > 0 and "kept" not in entries[1]
    assert "seed: WA " in printed and "pieces kept" in printed
    sizes = [
        json.loads((output / name / "training/results.json").read_text())[
            "folds"
        ][0]["n_train"]
        for name in ("seed", "base")
    ]
    assert sizes[1] == sizes[0] + entries[0]["kept"]
    # Another run reads what is finished, and changes nothing.
    before = {p: p.read_bytes() for p in sorted(output.rglob("*.json"))
              if "training" not in p.parts}  # fmt: skip
    assert main(["pseudolabel", "--rounds", str(path), "--quiet"]) == 0
    assert before == {p: p.read_bytes() for p in before}
    # Killed in the second training and run again, the chain is the same.
    chain["output"] = str(tmp_path / "again")
    path.write_text(json.dumps(chain))

    def dies(argv):
        if "seed" not in argv[argv.index("--output_folder") + 1]:
            raise KeyboardInterrupt
        train(argv)

    monkeypatch.setattr(rounds, "_train", dies)
    assert main(["pseudolabel", "--rounds", str(path), "--quiet"]) == 130
    monkeypatch.setattr(rounds, "_train", train)
    assert main(["pseudolabel", "--rounds", str(path), "--quiet"]) == 0
    for name in ("rounds.json", *(f"seed/labels/{name}" for name in FILES)):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (output / name).read_bytes(), name
    # Nine outputs in the published order, under the published names.
    folder = output / "base" / "funasr"
    assert (folder / "tokens.txt").read_text().split() == list(NINE_TOKENS)
    published = classifier_from_published(folder)
    assert tuple(label.id for label in published.labels) == NINE
    ours = rounds.read_classifier(output / "base" / "classifier")
    assert ours.about["results"]["corpus"] == "Synthetic"
    wav = 0.1 * torch.randn(16000)
    one, other = (x.log_posteriors([wav])[0].exp() for x in (published, ours))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_the_published_head_on_resd(tmp_path, capsys):
    """The command of the page of results, on a small tree."""
    model = tmp_path / "emotion2vec_plus_tiny"
    trained = tiny_trained(NINE, hidden=0, temperature=1.0)
    head = published_head(with_nine_tokens(trained))
    encoder = trained.embedding.encoder
    write_funasr(model, Pretrained(encoder, {}, "funasr", None, head))
    table = RECIPES / "RESD" / "nine_classes.yaml"
    command = [
        *("evaluate", str(model), "--recipe", "RESD", "--part", "test"),
        *("--data_folder", str(resd(tmp_path / "c"))),
        *("--output", str(tmp_path / "o"), "--label_map", str(table)),
        *("--allow_partial", "--device", "cpu", "--quiet"),
    ]
    assert main(command) == 0
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert results["n_predictions"] == 1
    reference = {(name, common) for _, name, common
                 in results["labels"]["reference"]}  # fmt: skip
    assert ("enthusiasm", "other") in reference
    assert "1 of 3 utterances: test" in results["protocol"]["marks"]
