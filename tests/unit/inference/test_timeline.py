"""Posteriors over time equal a plain loop over windows."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.tiny import noise, tiny_trained

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.timeline import (
    Segment,
    emotion_timeline,
    segments_of,
)

HOUR = """
import resource, json, sys
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.timeline import emotion_timeline
from unit.inference.tiny import tiny_trained
classifier = EmotionClassifier(tiny_trained())
report = []
for path in sys.argv[1:]:
    timeline = emotion_timeline(
        classifier, path, window=10.0, hop=5.0, batch_windows=2)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.append([timeline.seconds, timeline.windows, kib / 1024])
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def classifier():
    return EmotionClassifier(tiny_trained())


@pytest.fixture
def spoken(tmp_path):
    """7.3 s at 8 kHz: sound, 2.5 s of silence from 2.0 s on, sound."""
    wav = noise(int(7.3 * 8000), 3)
    wav[16000:36000] = 0
    soundfile.write(tmp_path / "spoken.wav", wav, 8000)
    return tmp_path / "spoken.wav"


def naive(classifier, path, cells, hop):
    """Posterior of each cell: mean over the windows that cover it."""
    wav = read_audio(path)
    size = int(hop * 16000)
    count = -(-len(wav) // size)
    rows = [[] for _ in range(count)]
    for last in range(min(cells, count), count + 1):
        first = max(0, last - cells)
        piece = wav[first * size : last * size]
        [found] = classifier.classify([piece])
        for index in range(first, last):
            rows[index].append(list(found.scores.values()))
    return np.array([np.mean(row, axis=0) for row in rows])


@pytest.mark.parametrize(("window", "hop"), [(1.5, 0.5), (1, 1), (20, 0.5)])
def test_cells_are_means_over_their_windows(classifier, spoken, window, hop):
    found = emotion_timeline(
        classifier, spoken, window, hop, silence_db=None, batch_windows=3
    )
    expected = naive(classifier, spoken, round(window / hop), hop)
    np.testing.assert_allclose(found.posteriors, expected, atol=2e-5)
    assert found.seconds == pytest.approx(7.3)
    assert found.segments == segments_of(
        found.posteriors, found.classes, hop, found.seconds
    )


def test_silence_is_marked_and_not_computed(classifier, spoken):
    found = emotion_timeline(classifier, spoken, 1.0, 0.5)
    silent = np.isnan(found.posteriors).all(axis=1)
    # Resampling rings a little over the edges, at most into one cell.
    assert silent[5:8].all() and not silent[[0, 1, 2, 3, 9, 10, 14]].any()
    everything = emotion_timeline(classifier, spoken, 1.0, 0.5, silence_db=None)
    assert not np.isnan(everything.posteriors).any()
    assert found.windows < everything.windows == 14
    gaps = [s for s in found.segments if s.silent]
    assert len(gaps) == 1 and 2.0 <= gaps[0].start <= 2.5
    assert 4.0 <= gaps[0].end <= 4.5


def test_a_silent_file_is_one_silent_segment(classifier, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(40000), 16000)
    found = emotion_timeline(classifier, tmp_path / "a.wav")
    assert found.segments == [Segment(0.0, 2.5, "silence", None)]
    assert found.windows == 0


def test_segments_cover_the_file_and_average(classifier):
    nan = [np.nan] * 2
    rows = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], nan, nan, [0.7, 0.3]]
    found = segments_of(np.array(rows), ["a", "b"], 0.5, 2.7)
    assert [(s.start, s.end, s.label) for s in found] == [
        (0.0, 1.0, "a"), (1.0, 1.5, "b"), (1.5, 2.5, "silence"),
        (2.5, 2.7, "a"),
    ]  # fmt: skip
    assert [s.confidence for s in found] == [
        pytest.approx(0.75), pytest.approx(0.8), None, pytest.approx(0.7)
    ]  # fmt: skip


def test_labels_can_be_chosen(classifier, spoken):
    found = emotion_timeline(
        classifier, spoken, 1.0, 1.0, None, merge={"low": ["sad", "angry"]}
    )
    full = emotion_timeline(classifier, spoken, 1.0, 1.0, None)
    assert found.classes == ("low", "happy")
    np.testing.assert_allclose(
        found.posteriors[:, 1], full.posteriors[:, 1], atol=1e-6
    )


@pytest.mark.parametrize(
    ("window", "hop", "named"),
    [(3, 2, "must be a multiple"), (1, 0, "multiple"),
     (0.02, 0.01, "one frame")],
)  # fmt: skip
def test_windows_must_fit(classifier, spoken, window, hop, named):
    with pytest.raises(ValueError, match=named):
        emotion_timeline(classifier, spoken, window, hop)


def test_too_short_a_file_is_named(classifier, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(399, 1), 16000)
    with pytest.raises(ValueError, match="a.wav: 399 samples"):
        emotion_timeline(classifier, tmp_path / "a.wav")


def test_a_rest_shorter_than_a_frame_is_no_obstacle(classifier, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(16100, 1), 16000)
    found = emotion_timeline(classifier, tmp_path / "a.wav", 1.0, 1.0, None)
    assert len(found.posteriors) == 2
    assert found.segments[-1].end == pytest.approx(1.00625)


def test_an_hour_needs_no_more_memory_than_minutes(tmp_path, repository):
    rate, paths = 8000, [tmp_path / "minutes.wav", tmp_path / "hour.wav"]
    burst = noise(20 * rate, 1)
    for path, minutes in zip(paths, (3, 60), strict=True):
        with soundfile.SoundFile(path, "w", rate, 1) as file:
            for _ in range(minutes // 3):
                file.write(burst)
                file.write(np.zeros(160 * rate))
    done = subprocess.run(
        [sys.executable, "-c", HOUR, *map(str, paths)],
        env={"PYTHONPATH": f"{repository}:{repository / 'tests'}",
             "OMP_NUM_THREADS": "1", "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    short, hour = json.loads(done.stdout.splitlines()[-1])
    assert hour[0] == 3600.0 and hour[1] >= 80
    # The hour at 16 kHz alone would be 220 MiB.
    assert hour[2] - short[2] < 50
    assert torch.tensor(hour).isfinite().all()
