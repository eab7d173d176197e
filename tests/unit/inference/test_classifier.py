"""EmotionClassifier: order, batches, choices, bad input."""

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.tiny import noise, tiny_trained

from speechbrain_e2v.corpora.audio import AudioError
from speechbrain_e2v.inference import EmotionClassifier
from speechbrain_e2v.inference.classifier_folder import write_classifier


@pytest.fixture(scope="module")
def classifier():
    return EmotionClassifier(tiny_trained())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    paths = []
    for index, rate in enumerate((16000, 8000, 44100, 16000, 22050)):
        wav = noise(rate // 2 + 3001 * index, index)
        stereo = np.stack([wav, 0.5 * wav], axis=1)
        path = folder / f"{index}.flac"
        soundfile.write(path, stereo if index % 2 else wav, rate)
        paths.append(path)
    return paths


def test_batches_change_nothing_and_order_is_kept(classifier, files):
    together = classifier.classify(files, batch_seconds=2.5)
    for path, found in zip(files, together, strict=True):
        [alone] = classifier.classify([str(path)])
        assert found.source == str(path) and found.label == alone.label
        assert list(found.scores.values()) == pytest.approx(
            list(alone.scores.values()), abs=1e-5
        )
        np.testing.assert_allclose(found.embedding, alone.embedding, atol=1e-5)
        info = soundfile.info(path)
        assert found.seconds == pytest.approx(info.duration, abs=1e-4)


def test_arrays_and_files_mix(classifier, files):
    wav, _ = soundfile.read(files[0], dtype="float32")
    inputs = [wav, files[0], torch.from_numpy(wav)]
    scores = [p.scores for p in classifier.classify(inputs)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)


def test_waveforms_of_another_rate_are_resampled(classifier, files):
    wav, rate = soundfile.read(files[1], dtype="float32")  # stereo, 8 kHz
    [expected] = classifier.classify(files[1:2])
    [found] = classifier.classify([wav], sample_rate=rate)
    assert found.scores == pytest.approx(expected.scores, abs=1e-5)


def test_classes_can_be_chosen(classifier, files):
    [full] = classifier.classify(files[:1])
    [part] = classifier.classify(files[:1], labels=["happy", "sad"])
    kept = full.scores["happy"] + full.scores["sad"]
    assert part.scores["sad"] == pytest.approx(full.scores["sad"] / kept)
    [merged] = classifier.classify(files[:1], merge={"low": ["sad", "angry"]})
    assert merged.scores["low"] == pytest.approx(1 - full.scores["happy"])


def test_below_the_threshold_there_is_no_label(classifier, files):
    [free] = classifier.classify(files[:1])
    [kept] = classifier.classify(files[:1], reject=free.score - 0.01)
    [rejected] = classifier.classify(files[:1], reject=free.score + 0.01)
    assert kept.label == free.label
    assert (rejected.label, rejected.published) == (None, None)
    assert rejected.score == pytest.approx(free.score)


def test_bad_files_are_named_and_the_rest_goes_on(classifier, files, tmp_path):
    short, text = tmp_path / "short.wav", tmp_path / "text.wav"
    soundfile.write(short, np.zeros(399), 16000)
    text.write_text("no audio")
    inputs = [files[0], tmp_path / "none.wav", short, text, files[1]]
    found = dict(classifier.outcomes(inputs))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert isinstance(found[1], AudioError) and "none.wav" in str(found[1])
    assert "short.wav: 399 samples" in str(found[2])
    assert isinstance(found[3], AudioError)
    assert found[4].scores == pytest.approx(
        classifier.classify(files[1:2])[0].scores, abs=1e-5
    )
    with pytest.raises(AudioError, match="none.wav"):
        classifier.classify(inputs[:2])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"audio": "a.wav"}, r"give a list: \['a.wav'\]"),
        ({"audio": [], "reject": 50}, "reject is 50"),
        ({"audio": [torch.zeros(2, 400)]}, r"shape \(2, 400\)"),
        ({"audio": [torch.zeros(399)]}, "399 samples"),
    ],
)
def test_wrong_arguments_are_named(classifier, arguments, named):
    with pytest.raises(ValueError, match=named):
        classifier.classify(**arguments)


def test_a_folder_is_loaded(tmp_path, classifier, files):
    folder = write_classifier(tmp_path / "folder", classifier.trained)
    loaded = EmotionClassifier.from_pretrained(folder, device="cpu")
    assert loaded.labels == ["angry", "happy", "sad"]
    expected = classifier.classify(files[:1])[0].scores
    assert loaded.classify(files[:1])[0].scores == pytest.approx(expected)
