"""Emotion prediction in conversation, from fake trees to results.json."""

import csv
import json
import sys

import numpy as np
import pytest
import torch

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import prepare
from speechbrain_e2v.downstream.classification import task as classification
from speechbrain_e2v.downstream.process_pool import usable_processes
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.downstream.trained_heads import read_run
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.report.rows import read_rows
from tests.recipes.fake_corpora import (
    MELD_HEADER,
    RECIPES,
    make_text,
    make_wav,
    meld_row,
    recipe,
)

LABELS = ("neu", "ang", "xxx", "exc", "sad", "fru", "hap")
WORDS = ("oh my god", "what", "i do not know", "go away", "fine then")


def iemocap(folder, sessions=3):
    """Two dialogues a session; the files list all turns of F, then of M."""
    for session in range(1, sessions + 1):
        for kind in ("impro01", "script01_1"):
            dialog = f"Ses{session:02d}F_{kind}"
            lines = {"F": [], "M": []}
            texts = []
            for i in range(18):
                who = "FM"[(i * 2 // 3 + session) % 2]
                name = f"{dialog}_{who}{len(lines[who]):03d}"
                wav = f"Session{session}/sentences/wav/{dialog}/{name}.wav"
                make_wav(folder / wav, seconds=0.1)
                lines[who].append(
                    f"[{i}.1000 - {i}.9000]\t{name}\t"
                    f"{LABELS[(i + session) % 7]}\t[2.5, 2.5, 2.5]"
                )
                texts.append(f"{name} [000.1-000.9]: {WORDS[i % 5]}")
            base = folder / f"Session{session}" / "dialog"
            make_text(
                base / "EmoEvaluation" / f"{dialog}.txt",
                "\n".join(lines["F"] + lines["M"]) + "\n",
            )
            make_text(
                base / "transcriptions" / f"{dialog}.txt", "\n".join(texts)
            )
    return folder


def meld(folder):
    emotions = ("anger", "surprise", "joy", "neutral", "sadness", "fear")
    for part in ("train", "dev", "test"):
        rows = []
        for i in range(14):
            make_wav(folder / part / f"dia3_utt{i}.wav", seconds=0.1)
            who = ("Joey", "Mark", "Rachel")[(i * i + 1) % 3]
            rows.append(meld_row(3, i, emotions[i % 6], who, WORDS[i % 5]))
        # Tables are not in order of time.
        make_text(
            folder / f"{part}_sent_emo.csv", MELD_HEADER + "".join(rows[::-1])
        )
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    small = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    card = {"origin": "test", "pretraining": {"IEMOCAP": 7.0}}
    return save_encoder(tmp_path_factory.mktemp("mine") / "e", small, card)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    return {
        "IEMOCAP": iemocap(folder / "IEMOCAP"),
        "MELD": meld(folder / "MELD"),
    }


@pytest.fixture
def run(trees, encoder, tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", str
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert usable_processes("cpu") == 1

    def call(corpus, *options, output="out", speech=True):
        file = RECIPES / corpus / "hparams" / "conversation.yaml"
        argv = [
            str(file), "--data_folder", str(trees[corpus]),
            "--output_folder", str(tmp_path / output),
            "--feature_cache", str(tmp_path_factory.getbasetemp() / "cache"),
            "--strict_counts", "False", "--number_of_epochs", "1",
            "--noprogressbar", "--device", "cpu", *options,
        ]  # fmt: skip
        if "--context_turns" not in options:
            argv += ["--context_turns", "4", "--min_context_turns", "3"]
        if speech:
            argv += ["--encoder", str(encoder)]
        return downstream(recipe(corpus), argv), tmp_path / output

    yield call
    torch.set_num_threads(threads)


def files(tree, corpus, folder):
    """Vectors of every utterance that the recipe's manifest has."""
    manifest = prepare(
        recipe(corpus).conversation, tree, folder, False, progress=False
    )
    ids = [u.id for u in read_manifest(manifest)]
    paths = [folder / "one.npz", folder / "two.npz"]
    for path, width in zip(paths, (3, 5), strict=True):
        values = np.random.default_rng(width).standard_normal((len(ids), width))
        np.savez(path, ids=ids, vectors=values)
    return [str(path) for path in paths]


def test_every_label_is_context(trees, tmp_path):
    for corpus, utterances, others in (("IEMOCAP", 108, 32), ("MELD", 42, 15)):
        manifest = prepare(
            recipe(corpus).conversation, trees[corpus], tmp_path / corpus,
            strict_counts=False, progress=False,
        )  # fmt: skip
        rows = read_manifest(manifest)
        assert len(rows) == utterances
        without = [u for u in rows if u.emo is None]
        assert len(without) == others
        assert {u.emo_raw for u in without} == (
            {"xxx", "fru"} if corpus == "IEMOCAP" else {"surprise", "fear"}
        )
    assert recipe("IEMOCAP").conversation.expected["utts"] == 10039
    published = recipe("IEMOCAP").conversation.published_samples
    assert sum(published.values()) == 4043


def test_speech_of_two_upstreams_beside_text(run, tmp_path):
    """A cell of Table 6: vectors are made on the way, from one name."""
    pytest.importorskip("opensmile")
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, conv_dim=[8] * 7, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    transformers.Wav2Vec2Model(config).save_pretrained(tmp_path / "model")
    extractor = transformers.Wav2Vec2FeatureExtractor()
    extractor.save_pretrained(tmp_path / "model")
    results, _ = run(
        "IEMOCAP", "--upstream", "egemaps-wav2vec2", "--source",
        str(tmp_path / "model"), "--network", "merged", "--inputs",
        "speech+pieces", "--vocab_size", "40", speech=False,
    )  # fmt: skip
    assert results["corpus"] == "IEMOCAP conversation, speech+text"
    assert results["classifier"]["network"]["name"] == "MergedTurnsNetwork"
    heard = results["upstream"]
    assert heard["kind"] == "eGeMAPS functionals and wav2vec2-base-960h"
    assert heard["text"]["kind"]


def test_iemocap_end_to_end(run, capsys):
    results, folder = run("IEMOCAP", "--seeds", "[1, 2]")
    assert json.loads((folder / "results.json").read_text()) == results
    assert results["task"] == "emotion prediction in conversation"
    assert results["corpus"] == "IEMOCAP conversation, speech"
    assert results["classifier"]["network"]["name"] == "RoutedNetwork"
    assert len(results["folds"]) == 6 * 2
    assert results["protocol"]["marks"] == [
        "108 of 10039 utterances: not the whole corpus",
        "no test speaker occurs in training",
        *results["protocol"]["marks"][2:4],
        "the encoder heard IEMOCAP in pretraining",
        "validation is of the same dialogues as test, but of other turns",
    ]
    lacking = results["protocol"]["marks"][2:4]
    assert lacking[0].startswith("validation lacks a class in 4 of 6 folds")
    assert lacking[1].startswith("the test lacks a class in 4 of 6 folds")
    about = results["conversation"]
    assert about["dialogues"] == 6 and about["utterances"] == 108
    assert about["context_turns"] == 4
    assert about["per_class"] == results["counts"]
    assert results["n_predictions"] == 2 * about["samples"]
    shown = capsys.readouterr().out
    assert "samples         here    published" in shown
    assert f"all        {about['samples']:>9}         4043" in shown
    assert "UAR" in shown and "MacroF1" in shown
    with open(folder / "predictions.csv", newline="") as file:
        tested = [row["id"] for row in csv.DictReader(file)]
    assert len(set(tested)) == about["samples"]
    (row,) = read_rows([folder / "results.json"])
    assert row.paper.scores == {"ua": 77.19, "macro_f1": 76.71}
    assert row.trained and row.caveats == tuple(results["protocol"]["marks"])
    assert main(["table", str(folder)]) == 0
    table = capsys.readouterr().out
    assert "| IEMOCAP conversation, speech | leave_one_speaker_out" in table
    assert "| UA | 77.19 | 25.00 | 25.00 | " in table
    assert f"| 25.00 | {row.pooled['ua']:.2f} [" in table
    with pytest.raises(ValueError, match="next turn of a conversation"):
        read_run(folder)
    # Finished folds are read, not trained again.
    again, _ = run("IEMOCAP", "--seeds", "[1, 2]")
    assert [f["seconds"] for f in again["folds"]] == [
        f["seconds"] for f in results["folds"]
    ]


@pytest.mark.parametrize(
    ("options", "modality", "network", "mark"),
    [
        (["--network", "timeline"], "speech", "TimelineNetwork",
         "TimelineNetwork"),
        (["--network", "merged"], "speech", "MergedTurnsNetwork",
         "MergedTurnsNetwork"),
        (["--bidirectional", "True"], "speech", "RoutedNetwork",
         "RoutedNetwork, bidirectional"),
        (["--inputs", "pieces"], "text", "RoutedNetwork", None),
        (["--inputs", "speech+pieces"], "speech+text", "RoutedNetwork", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("corpus", ["IEMOCAP", "MELD"])
def test_variants(corpus, options, modality, network, mark, run, monkeypatch):
    monkeypatch.setattr(classification, "plot_confusion", lambda *_: None)
    pieces = ["--vocab_size", "40", "--text_dim", "8"]
    folds = ["--n_folds", "2"] if corpus == "IEMOCAP" else []
    results, _ = run(
        corpus, *options, *folds, *(pieces if "text" in modality else []),
        speech="speech" in modality,
    )  # fmt: skip
    assert results["corpus"] == f"{corpus} conversation, {modality}"
    assert results["classifier"]["network"]["name"] == network
    marks = [m for m in results["protocol"]["marks"] if "another network" in m]
    expected = mark and [f"another network than the paper's: {mark}"]
    assert marks == (expected or [])
    assert results["classifier"]["network"]["hidden"] == 256
    if modality == "speech+text":
        assert results["upstream"]["text"]["kind"] == "text by learned units"


@pytest.mark.parametrize("corpus", ["IEMOCAP", "MELD"])
def test_vectors_from_files(corpus, run, trees, tmp_path, monkeypatch):
    monkeypatch.setattr(classification, "plot_confusion", lambda *_: None)
    one, two = files(trees[corpus], corpus, tmp_path / "files")
    folds = ["--n_folds", "2"] if corpus == "IEMOCAP" else []
    results, folder = run(
        corpus, "--inputs", "vectors", "--vectors", f"[{one}, {two}]", *folds,
        speech=False,
    )  # fmt: skip
    assert (
        results["upstream"]["kind"] == "vectors of one.npz, vectors of two.npz"
    )
    about = json.loads((folder / "folds/00/seed42/probe.json").read_text())
    assert about["arguments"]["input_dim"] == 8
    for inputs, width in (("bert", 2), ("speech+bert", 18)):
        results, folder = run(
            corpus, "--inputs", inputs, "--text_vectors", two,
            "--text_dim", "2", *folds, output=inputs,
        )  # fmt: skip
        about = json.loads((folder / "folds/00/seed42/probe.json").read_text())
        assert about["arguments"]["input_dim"] == width
    assert results["upstream"]["text"]["reduced_to"] == 2


def test_meld_parts_are_the_official_ones(run):
    results, folder = run("MELD")
    assert len(results["folds"]) == 1
    with open(folder / "predictions.csv", newline="") as file:
        tested = {row["id"] for row in csv.DictReader(file)}
    assert tested and all(name.startswith("test_dia3_") for name in tested)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target_utterance", "middle"], "'middle'; there are first, last"),
        (["--context_turns", "40", "--min_context_turns", "40"],
         "the longest dialogue has"),
        (["--inputs", "bert"], "pip install transformers"),
        (["--inputs", "vectors", "--vectors", "no.npz"],
         "no file of vectors no.npz"),
        (["--inputs", "vectors"], "no files of vectors are given"),
        (["--inputs", "speech"], "encoder is not given; add --encoder FOLDER"),
        (["--inputs", "words"], "inputs is 'words'; give speech or vectors"),
        (["--network", "rooted"], "network is 'rooted'; there are routed"),
        (["--context_turn", "4"], "did you mean context_turns"),
        (["--inputs", "pieces", "--vocab_size", "3"],
         "no 3 units can be learned"),
    ],
)  # fmt: skip
def test_one_line_errors(options, message, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SystemExit, match=message):
        run("IEMOCAP", *options, speech="--inputs" not in options)
