"""A finished run becomes the classifier that was trained."""

import json
import shutil

import pytest
import soundfile
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from unit.inference.tiny import CLASSES, frozen_frames, tiny_encoder, write_run

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.downstream.export import classifier_from_run
from speechbrain_e2v.downstream.trained_heads import choose, read_head
from speechbrain_e2v.downstream.upstreams.encoder import trained_encoder
from speechbrain_e2v.inference.calibration import calibrate
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.inference.model_card import model_card
from speechbrain_e2v.published.encoder_folder import save_encoder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


def logits_of(run, number, names):
    """The naive way: frozen features of each file, then the fold's head."""
    head = read_head(run / f"folds/{number:02d}/seed7")
    upstream = trained_encoder(run.parent / "encoder")
    rows = [
        head(frozen_frames(upstream, run.parent / f"corpus/{name}.wav")[None])
        for name in names
    ]
    return torch.cat(rows).detach()


def test_the_fold_with_the_best_validation_is_taken(run):
    results = [
        json.loads((run / f"folds/{n:02d}/seed7/result.json").read_text())
        for n in range(3)
    ]
    scores = [result["selection"]["valid_wa"] for result in results]
    choice = choose(run)
    assert choice.number == scores.index(max(scores))
    assert "3 heads" in choice.reason


@pytest.mark.parametrize("asked", [1, "1", "01", "block 1"])
def test_a_fold_can_be_asked_for(run, asked):
    assert choose(run, asked).number == 1


def test_a_fold_that_is_not_there_is_named(run):
    with pytest.raises(ValueError, match=r"no fold '9'.*2 \('block 2'"):
        choose(run, "9")
    with pytest.raises(ValueError, match="with seed 8"):
        choose(run, seed=8)


@pytest.mark.parametrize("number", [0, 2])
def test_the_best_of_what_is_left_is_not_taken(run, tmp_path, number):
    """One digit of a digest, and the head it names does not compete."""
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "results.json"
    results = json.loads(path.read_text("utf-8"))
    digest = results["folds"][number]["settings_sha256"]
    results["folds"][number]["settings_sha256"] = digest[:-1] + "x"
    path.write_text(json.dumps(results), "utf-8")
    with pytest.raises(ValueError, match="names 3 trained heads, of which 1"):
        choose(tmp_path / "run")
    assert choose(tmp_path / "run", fold=1).number == 1


def test_posteriors_are_the_probe_s_at_the_fitted_temperature(run):
    trained = classifier_from_run(run, fold=1, progress=False)
    report = trained.about["calibration"]
    place = run / "folds/01/seed7/result.json"
    recorded = json.loads(place.read_text())["selection"]["valid_wa"]
    assert report["valid_wa"] == {"recorded": recorded, "exported": recorded}
    names = [f"u{i:02d}" for i in range(12)]
    logits = logits_of(run, 1, names)
    for name, row in zip(names, logits, strict=True):
        wav, _ = soundfile.read(
            run.parent / f"corpus/{name}.wav", dtype="float32"
        )
        found, _ = trained.log_posteriors([torch.from_numpy(wav)])
        expected = (row / report["temperature"]).log_softmax(0)
        torch.testing.assert_close(found[0], expected, atol=1e-4, rtol=0)


def test_the_temperature_is_fitted_on_the_fold_s_validation(run):
    rows = read_manifest(run / "manifest/all.json")
    fold = make_folds("random_kfold", rows, 3, 1)[2]
    emotions = {row.id: CLASSES.index(row.emo) for row in rows}
    expected = calibrate(
        logits_of(run, 2, fold.valid), [emotions[name] for name in fold.valid]
    )
    trained = classifier_from_run(run, fold=2, progress=False)
    found = trained.about["calibration"]
    assert found["temperature"] == pytest.approx(
        expected["temperature"], rel=1e-3
    )
    assert found["ece"] == pytest.approx(expected["ece"], abs=1e-4)
    assert trained.classifier.temperature == found["temperature"]


def test_validation_utterances_are_those_that_the_run_lists(tmp_path):
    """Whatever the protocol gives by now."""
    run = write_run(tmp_path)
    results = json.loads((run / "results.json").read_text())
    results["protocol"]["name"] = "of an older version"
    (run / "results.json").write_text(json.dumps(results))
    rows = read_manifest(run / "manifest/all.json")
    fold = make_folds("random_kfold", rows, 3, 1)[1]
    with pytest.raises(ValueError, match="of an older version"):
        classifier_from_run(run, fold=1, progress=False)
    ids = {"valid": fold.valid, "test": fold.test}
    (run / "folds/01/ids.json").write_text(json.dumps(ids))
    trained = classifier_from_run(run, fold=1, progress=False)
    assert trained.about["calibration"]["utterances"] == len(fold.valid)
    (run / "folds/01/ids.json").write_text(json.dumps({"valid": 7}))
    with pytest.raises(ValueError, match="ids.json: valid: expected"):
        classifier_from_run(run, fold=1, progress=False)


def test_nothing_is_exported_unchecked(tmp_path):
    run = write_run(tmp_path)
    moved = (tmp_path / "corpus").rename(tmp_path / "elsewhere")
    for calibrated in (True, False):
        with pytest.raises(ValueError, match="missing"):
            classifier_from_run(run, calibrated=calibrated, progress=False)
    trained = classifier_from_run(
        run, calibrated=False, data_folder=moved, progress=False
    )
    assert trained.classifier.temperature == 1.0
    assert trained.about["calibration"] is None
    assert trained.about["compared"]["test_utterances"] == 4


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("kind", ["frames", "means", "linear", "weighted"])
@pytest.mark.parametrize("layer", [-1, [-4, -3, -2, -1], "mean_last_4", "all"])
def test_every_head_and_layer_gives_the_run_s_posteriors(
    tmp_path, kind, layer, calibrated
):
    if kind == "weighted":
        layer = "weighted"
    run = write_run(tmp_path, layer, kind, prenet_depth=2, depth=3)
    trained = classifier_from_run(run, calibrated=calibrated, progress=False)
    assert trained.about["compared"]["largest_difference"] < 2e-6
    number = trained.about["fold"]["number"]
    place = run / f"folds/{number:02d}/seed7/result.json"
    result = json.loads(place.read_text())
    trained.classifier.temperature = 1.0
    folder = write_classifier(tmp_path / "classifier", trained)
    stock = EncoderClassifier.from_hparams(
        source=str(folder), run_opts={"device": "cpu"}
    )
    ours = EmotionClassifier.from_pretrained(folder, "cpu")
    files = [str(tmp_path / f"corpus/{name}.wav") for name in result["test"]]
    for file, found, expected in zip(
        files, ours.classify(files), result["posteriors"], strict=True
    ):
        assert list(found.scores.values()) == pytest.approx(expected, abs=1e-5)
        posteriors = stock.classify_file(file)[0].exp()[0]
        assert posteriors.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_difference_is_allowed_by_name_alone(tmp_path):
    run = write_run(tmp_path)
    place = run / "folds/01/seed7/result.json"
    result = json.loads(place.read_text())
    result["posteriors"][2][0] += 5e-5
    place.write_text(json.dumps(result))
    with pytest.raises(ValueError, match=r"5e-05 from .* more than 1e-05"):
        classifier_from_run(run, fold=1, progress=False)
    trained = classifier_from_run(
        run, fold=1, tolerance=1e-4, calibrated=False, progress=False
    )
    found = trained.about["compared"]["largest_difference"]
    assert found == pytest.approx(5e-5, abs=2e-6)


@pytest.mark.parametrize("calibrated", [True, False])
def test_another_function_than_was_trained_is_refused(tmp_path, calibrated):
    """Trained on means, but exported as a head on frames."""
    run = write_run(tmp_path, kind="means")
    results = json.loads((run / "results.json").read_text())
    results["classifier"]["kind"] = "probe"
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(ValueError, match=r"from those that the run recorded"):
        classifier_from_run(run, calibrated=calibrated, progress=False)


def test_another_encoder_is_refused(run, tmp_path):
    save_encoder(tmp_path / "other", tiny_encoder(seed=5), {})
    with pytest.raises(ValueError, match="give the right one with --encoder"):
        classifier_from_run(run, encoder=tmp_path / "other", calibrated=False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"upstream": {"kind": "MFCC statistics"}}, "used MFCC statistics"),
        ({"upstream": {}}, "no frozen features"),
    ],
)
def test_what_has_no_encoder_is_refused(tmp_path, change, named):
    (tmp_path / "results.json").write_text(json.dumps(change))
    with pytest.raises(ValueError, match=named):
        classifier_from_run(tmp_path)


def test_changed_audio_is_noticed(tmp_path):
    run = write_run(tmp_path)
    place = run / "folds/00/seed7/result.json"
    result = json.loads(place.read_text())
    result["selection"]["valid_wa"] = 99.0 - result["selection"]["valid_wa"]
    place.write_text(json.dumps(result))
    with pytest.raises(ValueError, match="the run recorded"):
        classifier_from_run(run, fold=0, progress=False)
    name = result["test"][2]
    path = tmp_path / f"corpus/{name}.wav"
    wav, rate = soundfile.read(path)
    soundfile.write(path, wav[::-1], rate)
    with pytest.raises(ValueError, match=f"gives {name} posteriors"):
        classifier_from_run(run, fold=0, calibrated=False, progress=False)


def test_the_card_tells_fold_scores_and_marks_but_no_path(run):
    trained = classifier_from_run(run, fold=1, calibrated=False, progress=False)
    card = model_card(
        {
            "layer": 1,
            "hidden": 8,
            "labels": [vars(label) for label in trained.labels],
            "encoder": trained.embedding.encoder.config,
            **trained.about,
        }
    )
    for piece in (
        "encoder block 1",
        "fold 1 (block 1), seed 7",
        "* a mark",
        "| 1 | happiness | happy | happiness |",
        "first 24 numbers",
        "last 8 are",
        "heard without labels: X",
    ):
        assert piece in card
    assert str(run.parent) not in card
