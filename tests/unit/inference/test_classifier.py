"""EmotionClassifier: order, batches, choices, bad input."""

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.tiny import noise, tiny_trained

from speechbrain_e2v import inference
from speechbrain_e2v.corpora.audio import AudioError
from speechbrain_e2v.inference import EmotionClassifier
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.inference.clips import Clip


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
    kept = full.scores["happiness"] + full.scores["sadness"]
    assert part.scores["sadness"] == pytest.approx(
        full.scores["sadness"] / kept
    )
    [merged] = classifier.classify(files[:1], merge={"low": ["sad", "angry"]})
    assert merged.scores["low"] == pytest.approx(1 - full.scores["happiness"])


def test_autocast_changes_scores_by_its_rounding_only(classifier, files):
    exact = classifier.classify(files[:2])
    with torch.autocast("cpu", torch.bfloat16):
        coarse = classifier.classify(files[:2])
    for one, other in zip(exact, coarse, strict=True):
        assert other.embedding.dtype == np.float32
        gaps = [
            abs(one.scores[name] - other.scores[name]) for name in one.scores
        ]
        assert max(gaps) < 0.05


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
        classifier.classify(inputs[1])


def test_one_bad_file_does_not_fail_a_list(classifier, files, tmp_path):
    cut = tmp_path / "cut.wav"  # its header is in order
    soundfile.write(cut, np.full(4000, np.nan, np.float32), 16000, "FLOAT")
    inputs = [files[0], tmp_path / "none.wav", cut, torch.full((500,), np.nan)]
    found = classifier.classify(inputs)
    assert [p.error is None for p in found] == [True, False, False, False]
    assert found[0].scores == classifier.classify(files[0]).scores
    for bad, source, words in zip(
        found[1:],
        (str(inputs[1]), str(cut), "array 3"),
        ("missing", "non_finite", "array 3: non_finite"),
        strict=True,
    ):
        assert bad.source == source and words in str(bad.error)
        assert bad.label is None and not bad.scores and bad.score != bad.score


def test_one_input_gives_one_prediction(classifier, files):
    [expected] = classifier.classify(files[:1])
    wav, _ = soundfile.read(files[0], dtype="float32")
    clip = Clip("x", str(files[0]))
    for single in (files[0], str(files[0]), wav, torch.from_numpy(wav), clip):
        found = classifier.classify(single)
        assert found.scores == pytest.approx(expected.scores, abs=1e-6)


def test_scores_that_are_not_finite_are_refused(files):
    broken = EmotionClassifier(tiny_trained())
    broken.trained.classifier.output_layer.weight.data[0, 0] = torch.nan
    found = broken.classify(files[:2])
    for path, prediction in zip(files, found, strict=False):
        assert f"{path}: the scores are not finite" in str(prediction.error)
    with pytest.raises(ValueError, match="not finite"):
        broken.classify(files[0])
    broken = EmotionClassifier(tiny_trained())
    encoder = broken.trained.embedding.encoder
    encoder.projection[1].weight.data[0, 0] = torch.inf
    with pytest.raises(ValueError, match="not finite"):
        broken.classify(files[0])


def test_an_offset_does_not_meet_other_clips(classifier):
    """Normalised over a padded row it would lose three digits."""
    clips = [
        0.9 + 1e-4 * torch.from_numpy(noise(9000, 1)),
        torch.from_numpy(noise(31_000, 2)),
        -0.7 + 1e-3 * torch.from_numpy(noise(400, 3)),
    ]
    for together, wav in zip(classifier.classify(clips), clips, strict=True):
        alone = classifier.classify(wav)
        assert together.scores == pytest.approx(alone.scores, abs=1e-5)
        np.testing.assert_allclose(
            together.embedding, alone.embedding, atol=1e-5
        )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"audio": "a.wav"}, "a.wav: missing"),
        ({"audio": [], "reject": 50}, "reject is 50"),
        ({"audio": torch.zeros(2, 400)}, r"shape \(2, 400\)"),
        ({"audio": torch.zeros(399)}, "399 samples"),
    ],
)
def test_wrong_arguments_are_named(classifier, arguments, named):
    with pytest.raises(ValueError, match=named):
        classifier.classify(**arguments)


def test_a_folder_is_loaded(tmp_path, classifier, files):
    folder = write_classifier(tmp_path / "folder", classifier.trained)
    loaded = EmotionClassifier.from_pretrained(folder, device="cpu")
    assert loaded.labels == ["anger", "happiness", "sadness"]
    expected = classifier.classify(files[:1])[0].scores
    assert loaded.classify(files[:1])[0].scores == pytest.approx(expected)


def test_public_names_are_shown():
    assert set(inference.__all__) <= set(dir(inference))
    for name in inference.__all__:
        assert getattr(inference, name).__name__ == name
