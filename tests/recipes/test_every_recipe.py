"""Every recipe's own yaml and corpus, from a fake tree to results.json."""

import itertools
import sys

import pytest
import torch

from speechbrain_e2v.downstream.classification import task as classification
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from tests.recipes.fake_corpora import (
    RECIPES,
    iemocap,
    m3ed,
    make_text,
    make_wav,
    make_wavs,
    meld,
    mosei,
    mosi,
    ravdess,
    recipe,
    resd,
)


def custom(folder):
    names = [f"{s}{n}" for s in "abc" for n in range(4)]
    make_wavs(folder, names, rate=8000)
    rows = [f"{name}.wav,{'xyxy'[int(name[1])]},{name[0]}" for name in names]
    make_text(folder / "labels.csv", "\n".join(["path,label,speaker", *rows]))
    return folder


def product(form, *values):
    names = [form.format(*v) for v in itertools.product(*values)]

    def build(folder):
        make_wavs(folder, names)
        return folder

    return build


# recipe: (fake tree, folds to run, folds to run of the strict yaml)
TREES = {
    "IEMOCAP": (iemocap, 3, 3),
    "MELD": (meld, 1, None),
    "CMU-MOSEI": (mosei, 1, None),
    "CMU-MOSI": (mosi, 1, None),
    "RAVDESS-Speech": (
        lambda f: add_actor(ravdess(f), "03-01"), 3, 3),
    "RAVDESS-Song": (
        lambda f: add_actor(ravdess(f, speech=False), "03-02"), 3, 3),
    "SAVEE": (
        product("AudioData/{}/{}01", ("DC", "JE", "JK"), "adfhn"), 3, 3),
    "M3ED": (m3ed, 1, None),
    "EMOVO": (
        product("{1}/{0}-{1}-b1", ("neu", "dis", "gio"), ("f1", "m1", "m2")),
        3, 3),
    "CaFE": (product("x/{}-{}-1-1", ("01", "02", "03"), "CDJ"), 3, 3),
    "SUBESCO": (
        product("{}_0{}_X_S_1_{}_1", "FM", "12", ("ANGRY", "SAD")), 3, 3),
    "ShEMO": (product("female/F0{}{}01", "123", "ANS"), 3, 3),
    "URDU": (product("{2}/SM{0}_F1_{2[0]}0{1}", "123", "12",
                    ("Angry", "Happy")), 3, 3),
    "AESDD": (product("{2}/{2[0]}0{1} ({0})", "123", "12",
                     ("anger", "fear")), 3, 3),
    "RESD": (lambda f: resd_of_many(f), 1, 3),
    "CREMA-D": (product("1{}_DFA_{}_XX", ("001", "002", "003"),
                        ("ANG", "SAD")), 3, 3),
    "Custom": (custom, 3, 3),
}  # fmt: skip


def add_actor(folder, prefix):
    make_wav(folder / f"Actor_03/{prefix}-01-01-01-01-03.wav")
    return folder


def resd_of_many(folder):
    resd(folder)
    rows = []
    for number in range(11, 21):
        name = f"{number}_fear_sadness_f_010.wav"
        make_wav(folder / "train/d" / name)
        rows.append(f"n,d/{name},fear,t")
    text = (folder / "train.csv").read_text("utf-8")
    make_text(folder / "train.csv", text + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    small = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=3,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("encoder")
    return save_encoder(folder, small, {"origin": "test"})


def test_all_are_here():
    shims = {p.parents[1].name for p in RECIPES.glob("*/hparams/linear.yaml")}
    assert set(TREES) == shims - {"EmoDB", "Synthetic"}
    strict = {p.parents[1].name for p in RECIPES.glob("*/hparams/*_strict*")}
    strict -= {"EmoDB"}
    assert {name for name, tree in TREES.items() if tree[2]} == strict


@pytest.mark.parametrize("name", TREES)
def test_train(name, encoder, tmp_path, monkeypatch):
    build, folds, strict_folds = TREES[name]
    folder = build(tmp_path / "corpus")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    # Half of the time goes into what EmoDB's test looks at.
    monkeypatch.setattr(classification, "plot_confusion", lambda *_: None)
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", str
    )
    # Some folds of these few files train on one class, which is refused.
    monkeypatch.setattr(
        "speechbrain_e2v.downstream.data.require_learning", lambda *_: None
    )
    for stem, count in (("linear", folds), ("linear_strict", strict_folds)):
        if count is None:
            continue
        results = downstream(
            recipe(name),
            [
                str(RECIPES / name / "hparams" / f"{stem}.yaml"),
                *("--data_folder", str(folder), "--encoder", str(encoder)),
                *("--output_folder", str(tmp_path / stem)),
                *("--feature_cache", str(tmp_path / "features")),
                *("--strict_counts", "False", "--n_folds", str(count)),
                *("--number_of_epochs", "1", "--seeds", "[1]"),
                *("--noprogressbar", "--device", "cpu"),
            ],
        )
        assert results["corpus"].split(":")[0] == name
        assert len(results["folds"]) == count
        marks = " ".join(results["protocol"]["marks"])
        assert ("test speakers occur in training" in marks) == (
            stem == "linear"
            and name not in ("IEMOCAP", "CMU-MOSI", "CMU-MOSEI", "M3ED", "RESD")
        ), marks
    layer = [0, 1, 2, 3] if name.startswith("CMU") else 3
    assert results["feature_layer"] == layer
    assert (tmp_path / "linear" / "results.json").is_file()
