"""EmoDB's recipe on a fake corpus, from names to results.json."""

import csv
import json
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import prepare
from speechbrain_e2v.downstream.classification.probe import ProbeTrainer
from speechbrain_e2v.downstream.export import classifier_from_run
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.downstream.trained_heads import choose
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.training.yaml_bases import merged_yaml
from tests.recipes.fake_corpora import RECIPES, recipe

HPARAMS = RECIPES / "EmoDB" / "hparams"
CORPUS = recipe("EmoDB")
LETTERS = "WLEAFNT"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """Three speakers, seven emotions, two sentences: 42 clips of 0.3 s."""
    folder = tmp_path_factory.mktemp("emodb")
    (folder / "wav").mkdir()
    (folder / "lablaut").mkdir()
    (folder / "lablaut" / "03a01Fa.lablaut").touch()
    generator = np.random.default_rng(0)
    time = np.arange(4800) / 16000
    for speaker in ("03", "08", "11"):
        for number, letter in enumerate(LETTERS):
            for sentence in ("a01", "b02"):
                pitch = 100 + 90 * number + 2 * int(speaker)
                samples = 0.2 * np.sin(2 * np.pi * pitch * time)
                samples += 0.02 * generator.standard_normal(len(time))
                path = folder / "wav" / f"{speaker}{sentence}{letter}a.wav"
                soundfile.write(path, samples, 16000)
    return folder


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    card = {"origin": "test", "pretraining": {"EmoDB": 0.1}}
    return save_encoder(tmp_path_factory.mktemp("encoder"), encoder, card)


@pytest.fixture(scope="module")
def run(data_folder, encoder_folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    hook = sys.excepthook

    def call(name, output, *options):
        given = {
            "--data_folder": str(data_folder),
            "--output_folder": str(work / output),
            "--feature_cache": str(work / "features"),
            "--strict_counts": "False",
            "--n_folds": "3",
            "--device": "cpu",
        }
        text = merged_yaml(HPARAMS / f"{name}.yaml")
        if "encoder: !PLACEHOLDER" in text:
            given["--encoder"] = str(encoder_folder)
        if "number_of_epochs:" in text:
            given["--number_of_epochs"] = "3"
        given |= zip(options[::2], options[1::2], strict=True)
        argv = [str(HPARAMS / f"{name}.yaml"), "--noprogressbar"]
        argv += [word for pair in given.items() for word in pair]
        return downstream(CORPUS, argv), work / output

    yield call
    sys.excepthook = hook  # SpeechBrain replaces it


def test_names_of_the_real_corpus(shared_folder, tmp_path):
    index = shared_folder / "data" / "index.csv"
    if not index.is_file():
        pytest.skip("no ../shared/data/index.csv")
    with open(index, newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["corpus"] == "EmoDB"]
    (tmp_path / "wav").mkdir()
    expected = {}
    for row in rows:
        name = row["path"].rsplit("/", 1)[-1].removesuffix(".flac")
        (tmp_path / "wav" / f"{name}.wav").touch()
        expected[name] = row["speaker"], row["gender"], row["emotion"]
    found = list(CORPUS.parse(tmp_path))
    assert {
        u.id: (u.spk, u.gender.lower(), CORPUS.class_of(u)) for u in found
    } == expected
    counts = Counter(CORPUS.class_of(u) for u in found)
    assert counts == CORPUS.expected["per_class"]
    assert len(found) == CORPUS.expected["utts"]


def test_manifest_of_the_fake_corpus(data_folder, tmp_path):
    manifest = prepare(
        CORPUS, data_folder, tmp_path, strict_counts=False, progress=False
    )
    rows = {u.id: u for u in read_manifest(manifest)}
    assert len(rows) == 42
    fear = rows["08a01Aa"]  # A is Angst
    assert (fear.emo, fear.spk, fear.gender) == ("fear", "08", "F")
    assert rows["03b02Fa"].emo == "happiness"
    assert rows["11b02Wa"].gender == "M"


@pytest.mark.parametrize("name", ["03a01Xa.wav", "07a01Fa.wav", "x.wav"])
def test_strange_names_are_refused(data_folder, tmp_path, name):
    shutil.copytree(data_folder, tmp_path / "c")
    (tmp_path / "c" / "wav" / name).touch()
    with pytest.raises(ValueError, match=name):
        list(CORPUS.parse(tmp_path / "c"))


def test_incomplete_corpus_is_refused(data_folder, tmp_path):
    with pytest.raises(ValueError, match="535"):
        prepare(CORPUS, data_folder, tmp_path, progress=False)


def test_random_folds_end_to_end(run, capsys):
    results, folder = run("linear", "linear", "--seeds", "[1, 2]")
    assert json.loads((folder / "results.json").read_text()) == results
    assert results["protocol"]["marks"] == [
        "42 of 535 utterances: not the whole corpus",
        "test speakers occur in training",
        "test speakers occur in validation",
        "training lacks a class in 1 of 3 folds (block 2: neutral)",
        "validation lacks a class in 1 of 3 folds (block 0: neutral)",
        "the test lacks a class in 1 of 3 folds (block 1: neutral)",
        "the encoder heard EmoDB in pretraining",
    ]
    assert results["feature_layer"] == 1
    assert results["classifier"]["number_of_epochs"] == 3
    assert len(results["folds"]) == 6
    assert results["counts"] == dict.fromkeys(CORPUS.classes, 6)
    with open(folder / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    tested = Counter((row["seed"], row["id"]) for row in rows)
    assert len(tested) == 84 and set(tested.values()) == {1}
    right = sum(row["reference"] == row["predicted"] for row in rows)
    assert results["pooled"]["wa"] == pytest.approx(100 * right / 84)
    for name in ("confusion.png", "log.txt", "hyperparams.yaml"):
        assert (folder / name).is_file(), name
    assert (folder / "folds" / "02" / "seed2" / "probe.safetensors").is_file()
    printed = capsys.readouterr().out
    for text in ("WA", "UA", "WF1", f"{results['pooled']['ua']:.2f}"):
        assert text in printed


def test_second_run_trains_nothing(run, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a finished fold was trained again")

    first, folder = run("linear", "again")
    monkeypatch.setattr(ProbeTrainer, "fit", refuse)
    second, _ = run("linear", "again")
    for results in (first, second):
        del results["seconds"]
    assert second == first
    with pytest.raises(AssertionError):
        run("linear", "again", "--layer", "0")


def test_speakers_end_to_end(run):
    results, folder = run(
        "mfcc", "strict", "--protocol", "leave_one_speaker_out"
    )
    assert results["protocol"]["marks"][1:] == [
        "no test speaker occurs in training"
    ]
    assert [f["fold"] for f in results["folds"]] == [
        "speaker 03", "speaker 08", "speaker 11",
    ]  # fmt: skip
    assert [f["n_test"] for f in results["folds"]] == [14, 14, 14]
    # Pitch tells the classes apart, so a working chain is far above chance.
    assert results["pooled"]["ua"] > 40
    probe = json.loads((folder / "folds/00/seed42/probe.json").read_text())
    assert probe["classes"] == list(CORPUS.classes)


def test_the_headline_is_printed_and_named(run, capsys):
    results, folder = run("mfcc", "headline")
    means = {n: s["mean"] for n, s in results["fold_spread"].items()}
    assert results["headline"] == {"is": "mean over folds", "scores": means}
    printed = capsys.readouterr().out
    wa, ua, wf1 = (f"{means[name]:.2f}" for name in ("wa", "ua", "wf1"))
    assert f"WA {wa}  UA {ua}  WF1 {wf1}  (mean over folds)" in printed
    assert "pooled   folds: mean +- sd" in printed
    saved = json.loads((folder / "results.json").read_text())
    assert saved["headline"] == results["headline"]
    ids = json.loads((folder / "folds" / "00" / "ids.json").read_text())
    assert len(ids["train"]) + len(ids["valid"]) + len(ids["test"]) == 42


@pytest.mark.parametrize("name", ["mfcc", "egemaps", "constant", "prior"])
def test_baselines_hear_no_encoder(name, run):
    if name == "egemaps":
        pytest.importorskip("opensmile")
    results, folder = run(f"../../../hparams/probes/{name}", f"floor_{name}",
                          "--protocol", "leave_one_speaker_out")  # fmt: skip
    assert len(results["folds"]) == 3 * len(results["seeds"])
    ua = results["headline"]["scores"]["ua"]
    if name == "constant":
        assert ua == pytest.approx(100 / 7)
        assert not list(folder.glob("folds/*/*/probe.json"))
    elif name == "prior":
        assert ua == pytest.approx(100 / 7, abs=12)
    else:
        assert ua > 40
    again, _ = run(f"../../../hparams/probes/{name}", f"floor_{name}",
                   "--protocol", "leave_one_speaker_out")  # fmt: skip
    assert again["folds"] == results["folds"]


def test_a_folder_has_one_writer(run):
    _, folder = run("mfcc", "locked")
    with ThreadPoolExecutor(1) as other, ExitStack() as held:
        other.submit(held.enter_context, sole_writer(folder)).result()
        with pytest.raises(SystemExit, match="is being written by another run"):
            run("mfcc", "locked")
        other.submit(held.close).result()
    run("mfcc", "locked")


def test_one_class_is_nothing_to_learn(data_folder, run, tmp_path):
    lonely = tmp_path / "corpus"
    shutil.copytree(data_folder, lonely)
    for path in lonely.glob("wav/*.wav"):
        if path.stem[5] != "W":
            path.unlink()
    options = ("--data_folder", str(lonely), "--protocol", "random_kfold")
    for name in ("mfcc", "linear"):
        with pytest.raises(SystemExit, match="all 6 .* are 'anger'; a class"):
            run(name, f"lonely_{name}", *options)
    constant, _ = run("../../../hparams/probes/constant", "lonely", *options)
    assert constant["pooled"]["wa"] == 100.0


def test_heads_of_other_settings_are_not_exported(run):
    run("logistic", "settings", "--n_folds", "6", "--protocol", "random_kfold")
    _, folder = run("logistic", "settings", "--protocol", "random_kfold")
    assert len(list(folder.glob("folds/*"))) == 6
    assert {choose(folder, fold).number for fold in range(3)} == {0, 1, 2}
    with pytest.raises(ValueError, match="has no fold 5"):
        choose(folder, 5)


@pytest.mark.parametrize("name", ["logistic", "random", "random_logistic"])
def test_other_yaml_files_run_on_the_same_folds(run, name):
    results, _ = run(name, name)
    assert results["counts"] == dict.fromkeys(CORPUS.classes, 6)
    assert results["upstream"]["kind"].startswith(
        "encoder at random" if "random" in name else "trained"
    )
    kind = "probe" if name == "random" else "logistic regression"
    assert results["classifier"]["kind"].startswith(kind)


PROBES = "../../../hparams/probes/"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("linear", ("--layer", "[-2, -1]")),
        ("linear", ("--layer", "last")),
        ("linear", ("--layer", "all")),
        ("logistic", ()),
        (PROBES + "utterance", ("--layer", "[0, 1]")),
        (PROBES + "weighted", ()),
    ],
)
def test_what_is_exported_is_what_was_trained(run, name, options, tmp_path):
    output = "export " + name.rsplit("/")[-1] + "".join(options)
    options = ("--protocol", "random_kfold", *options)
    results, folder = run(name, output, *options)
    trained = classifier_from_run(folder, progress=False)
    compared = trained.about["compared"]
    assert compared["test_utterances"] == 14
    assert compared["largest_difference"] <= 1e-5
    exported = write_classifier(tmp_path / "classifier", trained)
    assert (
        read_classifier(exported).about["results"]["pooled"]
        == (results["pooled"])
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data_folder", "/nowhere"), "no folder /nowhere"),
        (("--encoder", "/nowhere"), "no file or folder /nowhere"),
        (("--protocol", "loso"), "'loso'; there are random_kfold"),
        (("--seeds", "1"), "seeds is 1"),
        (("--layer", "9"), "layer is 9"),
        (("--epochs", "9"), "unknown option --epochs"),
    ],
)
def test_bad_options_end_in_one_line_before_work_starts(
    data_folder, encoder_folder, tmp_path, options, message
):
    given = {
        "--data_folder": str(data_folder),
        "--encoder": str(encoder_folder),
        "--output_folder": str(tmp_path / "out"),
        "--device": "cpu",
        **dict([options]),
    }
    argv = [str(HPARAMS / "linear.yaml")]
    argv += [word for pair in given.items() for word in pair]
    with pytest.raises(SystemExit) as caught:
        downstream(CORPUS, argv)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_help_shows_an_example(monkeypatch, capsys):
    script = str(RECIPES / "EmoDB" / "train.py")
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as caught:
        downstream(CORPUS)
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert "python train.py hparams/linear.yaml --data_folder" in printed
    assert "hparams/mfcc.yaml" in printed
