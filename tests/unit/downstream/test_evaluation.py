"""Classifiers on corpora with other classes: nothing is hidden or lucky."""

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import balanced_accuracy_score
from unit.inference.tiny import noise, tiny_trained

from speechbrain_e2v.corpora.common_labels import read_common_labels
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.evaluation import (
    ERROR,
    LEAVE_OUT,
    Posteriors,
    evaluate,
)
from speechbrain_e2v.downstream.labelled_corpus import LabelledCorpus
from speechbrain_e2v.downstream.shared_classes import meet

CLASSES = ("sad", "Angry", "boredom")  # of the corpus
MODEL = ("anger", "happiness", "sadness", "joyless")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for index in range(15):
        path = folder / f"u{index:02d}.wav"
        samples = 200 if index == 14 else 4000 + 300 * index
        soundfile.write(path, noise(samples, index), 16000)
        rows.append(
            Utterance(
                path.stem,
                str(path),
                emo=CLASSES[index % 3],
                spk=str(index % 4),
                dataset="X",
                duration=samples / 16000,
            )
        )
    return LabelledCorpus("X", tuple(rows), {"X": CLASSES})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("posteriors")


def run(corpus, cache, unmapped=LEAVE_OUT, labels=None, trained=None):
    return evaluate(
        trained or tiny_trained(MODEL),
        "tiny",
        corpus,
        labels or read_common_labels(),
        cache,
        unmapped,
        progress=False,
    )


def test_scores_are_those_of_the_classifier_one_clip_at_a_time(corpus, cache):
    results, found, targets = run(corpus, cache)
    trained = tiny_trained(MODEL)
    ids = {"anger": "angry", "happiness": "happy", "sadness": "sad",
           "joyless": "joyless (only the model)"}  # fmt: skip
    true, predicted, sure = [], [], []
    for utterance in corpus.utterances:
        if utterance.emo == "boredom":
            continue
        wav, _ = soundfile.read(utterance.wav, dtype="float32")
        wav = np.pad(wav, (0, max(0, 400 - len(wav))))
        rows, _ = trained.log_posteriors([torch.from_numpy(wav)])
        true.append(utterance.emo.lower())
        predicted.append(ids[MODEL[int(rows.argmax())]])
        sure.append(float(rows.exp().max()))
    assert [targets.names[i] for i in found["predicted"]] == predicted
    assert [targets.names[i] for i in found["reference"]] == true
    posteriors = np.array(found["posteriors"])
    np.testing.assert_allclose(posteriors.max(axis=1), sure, atol=2e-6)
    right = [a == b for a, b in zip(true, predicted, strict=True)]
    assert results["pooled"]["wa"] == pytest.approx(100 * np.mean(right))
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        ua = balanced_accuracy_score(true, predicted)
    assert results["pooled"]["ua"] == pytest.approx(100 * ua)
    assert np.mean(list(results["recall"].values())) == pytest.approx(100 * ua)
    assert set(results["recall"]) == {"angry", "sad"}
    assert results["floors"]["constant"]["ua"] == pytest.approx(50)


def test_labels_without_a_counterpart_are_left_out_or_errors(corpus, cache):
    left_out = run(corpus, cache)[0]
    errors = run(corpus, cache, ERROR)[0]
    assert left_out["n_predictions"] == 10 and errors["n_predictions"] == 15
    right = left_out["pooled"]["wa"] * 10
    assert errors["pooled"]["wa"] * 15 == pytest.approx(right)
    assert errors["recall"]["bored (only the corpus)"] == 0
    assert not any("corpus)" in name for name in left_out["classes"])
    for results, became in ((left_out, "are left out"), (errors, "as errors")):
        (mark,) = [m for m in results["protocol"]["marks"] if "5 of 15" in m]
        assert became in mark and "bored (only the corpus) 5" in mark
    assert (
        "predicted classes that the corpus lacks are errors: happy, joyless "
        "(only the model)" in errors["protocol"]["marks"]
    )


def test_names_without_ids_are_never_equal_by_chance(corpus):
    """Both sides have a `hm` that no table knows: they do not match."""
    other = LabelledCorpus("X", corpus.utterances, {"X": ("hm", "sad")})
    meeting = meet(
        read_common_labels(), other, tiny_trained(("hm", "sadness", "anger"))
    )
    assert meeting.reference["X", "hm"] in meeting.foreign
    assert meeting.names[0] == "sad"
    assert "hm (only the model)" in meeting.never_right


def test_merged_classes_add_up(corpus, cache, tmp_path):
    table = tmp_path / "mine.yaml"
    table.write_text("model: {joyless: sad}\ncorpora: {X: {boredom: sad}}")
    results, found, targets = run(
        corpus, cache, labels=read_common_labels(table)
    )
    plain, before, all_targets = run(corpus, cache, ERROR)
    assert results["n_predictions"] == 15 and results["counts"]["sad"] == 10
    merged = np.array(found["posteriors"])[:, targets.names.index("sad")]
    parts = np.array(before["posteriors"])[
        :, [all_targets.names.index(n) for n in
            ("sad", "joyless (only the model)")]
    ].sum(axis=1)  # fmt: skip
    np.testing.assert_allclose(merged, parts, atol=2e-6)


def test_no_class_in_common_is_told(corpus, cache):
    with pytest.raises(ValueError, match="no class in common") as raised:
        run(corpus, cache, trained=tiny_trained(("yes", "no")))
    assert "--label_map" in str(raised.value)


def test_what_the_model_has_heard_is_said(corpus, cache):
    trained = tiny_trained(MODEL)
    trained.about["encoder_card"] = {
        "pretraining": {"Y": 1.0}, "finetuning": {"x": None},
    }  # fmt: skip
    trained.about["results"] = {"corpus": "X"}
    marks = run(corpus, cache, trained=trained)[0]["protocol"]["marks"]
    assert "the encoder heard X in finetuning" in marks
    assert "the classifier was trained on X" in marks
    clean = tiny_trained(MODEL)
    clean.about["encoder_card"] = {"pretraining": {"Y": 1.0}}
    marks = run(corpus, cache, trained=clean)[0]["protocol"]["marks"]
    assert not any("heard" in m or "trained" in m for m in marks)


def test_a_stopped_run_goes_on_and_ends_alike(corpus, tmp_path, monkeypatch):
    expected = run(corpus, tmp_path / "whole")
    extract, seen = Posteriors.extract, []

    def stops(self, waveforms):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(waveforms))
        return extract(self, waveforms)

    def once(cache):
        return evaluate(
            tiny_trained(MODEL), "tiny", corpus, read_common_labels(), cache,
            LEAVE_OUT, batch_seconds=1.0, progress=False,
        )  # fmt: skip

    expected = once(tmp_path / "small")
    monkeypatch.setattr(Posteriors, "extract", stops)
    with pytest.raises(KeyboardInterrupt):
        once(tmp_path / "cut")
    done = sum(seen)
    seen.clear()

    def counts(self, waveforms):
        seen.append(len(waveforms))
        return extract(self, waveforms)

    monkeypatch.setattr(Posteriors, "extract", counts)
    assert once(tmp_path / "cut")[:2] == expected[:2]
    assert sum(seen) == 10 - done
    seen.clear()
    assert once(tmp_path / "cut")[:2] == expected[:2] and not seen
