"""Posteriors over time equal a plain loop over windows."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly
from unit.inference.tiny import noise, tiny_trained
from unit.inference.voices import joined, voice

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.speech_windows import Piece
from speechbrain_e2v.inference.timeline import (
    Segment,
    emotion_timeline,
    segments_of,
)
from speechbrain_e2v.inference.timeline_files import rttm_text, srt_text

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


@pytest.fixture
def talk(tmp_path):
    """Five clips between pauses of 0.8 s."""
    wav, spans = joined([voice(number=n) for n in range(5)], 0.8, -50.0)
    soundfile.write(tmp_path / "talk.wav", wav, 16000)
    return tmp_path / "talk.wav", spans


def naive(classifier, path, cells, hop):
    """Posterior of each cell: mean over the windows that cover it."""
    wav = read_audio(path)
    size = int(hop * 16000)
    count = max(1, int(len(wav) / size + 0.5))  # the last takes the rest
    ends = [size * (index + 1) for index in range(count - 1)] + [len(wav)]
    rows = [[] for _ in range(count)]
    for last in range(min(cells, count), count + 1):
        first = max(0, last - cells)
        [found] = classifier.classify([wav[first * size : ends[last - 1]]],
                                      sample_rate=16000)  # fmt: skip
        for index in range(first, last):
            rows[index].append(list(found.scores.values()))
    rows = [np.mean(row, axis=0) for row in rows]
    return np.array(rows + rows[-1:] * (-(-len(wav) // size) - count))


@pytest.mark.parametrize("window,hop", [(1.5, 0.5), (1, 1), (20, 0.5)])
def test_cells_are_means_over_their_windows(classifier, spoken, window, hop):
    found = emotion_timeline(
        classifier, spoken, window, hop, silence_db=None, batch_windows=3
    )
    expected = naive(classifier, spoken, round(window / hop), hop)
    np.testing.assert_allclose(found.posteriors, expected, atol=2e-5)
    assert found.seconds == pytest.approx(7.3)


def test_pauses_are_marked_and_not_computed(classifier, talk):
    path, spans = talk
    found = emotion_timeline(classifier, path, 1.0, 0.25)
    everything = emotion_timeline(classifier, path, 1.0, 0.25, silence_db=None)
    assert not np.isnan(everything.posteriors).any()
    assert found.windows < 0.8 * everything.windows
    gaps = [s for s in found.segments if s.silent]
    assert len(gaps) == len(spans) + 1
    for gap, (end, start) in zip(
        gaps[1:-1],
        [(a[1], b[0]) for a, b in zip(spans, spans[1:], strict=False)],
        strict=True,
    ):
        assert end - 0.3 < gap.start < end + 0.2
        assert start - 0.2 < gap.end < start + 0.3


def test_windows_do_not_cross_pauses(classifier, talk):
    """What is said is labelled as if nothing else were in the file."""
    path, spans = talk
    found = emotion_timeline(classifier, path, 3.0, 1.0)
    wav, _ = soundfile.read(path, dtype="float32")
    for s in found.segments:
        if not s.silent:
            assert any(a - 0.2 < s.start and s.end < b + 0.2 for a, b in spans)
            piece = wav[round(16000 * s.start) : round(16000 * s.end)]
            [alone] = classifier.classify([piece], sample_rate=16000)
            assert alone.label == s.label
            assert alone.score == pytest.approx(s.confidence, abs=1e-5)


@pytest.mark.parametrize("hop", [1 / 30, 1 / 24, 0.05, 1.0])
def test_times_neither_drift_nor_leave_holes(classifier, tmp_path, hop):
    wav, _ = joined([voice(number=n) for n in range(4)] * 3, 0.6, -55.0)
    path = tmp_path / "a.wav"
    soundfile.write(path, wav, 16000)
    found = emotion_timeline(classifier, path, hop, hop)
    size = round(hop * 16000)
    assert found.hop == size / 16000
    assert len(found.posteriors) == -(-len(wav) // size)
    edges = [0.0, *(s.end for s in found.segments)]
    assert [s.start for s in found.segments] == edges[:-1]
    assert edges[-1] == found.seconds == len(wav) / 16000
    assert all(b > a for a, b in zip(edges, edges[1:], strict=False))
    cells = found.description()["cells"]
    for index, cell in enumerate(cells):
        assert cell["start"] == pytest.approx(index * size / 16000, abs=1e-7)
    ends = [cell["end"] for cell in cells]
    assert ends[:-1] == [cell["start"] for cell in cells[1:]]
    assert ends[-1] == pytest.approx(found.seconds)
    for line in rttm_text(found).splitlines():
        assert float(line.split()[4]) > 0
    for line in srt_text(found).splitlines():
        if "-->" in line:
            start, end = line.split(" --> ")
            assert start < end


def test_a_silent_file_is_one_silent_segment(classifier, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(40000), 16000)
    found = emotion_timeline(classifier, tmp_path / "a.wav")
    assert found.segments == [Segment(0.0, 2.5, "silence", None)]
    assert found.windows == 0


def test_segments_cover_the_file_and_average():
    pieces = [
        Piece(0, 8000, np.array([0.9, 0.1])),
        Piece(8000, 16000, np.array([0.6, 0.4])),
        Piece(16000, 24000, np.array([0.2, 0.8])),
        Piece(40000, 43200, np.array([0.7, 0.3])),
    ]
    found = segments_of(pieces, ["a", "b"], 43200)
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
    assert found.classes == ("low", "happiness")
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
    burst = resample_poly(joined([voice()] * 10, 0.1, None)[0], 1, 2)
    burst = burst[: 20 * rate]
    for path, minutes in zip(paths, (3, 60), strict=True):
        with soundfile.SoundFile(path, "w", rate, 1) as file:
            for _ in range(minutes // 3):
                file.write(burst)
                file.write(np.zeros(180 * rate - len(burst)))
    done = subprocess.run(
        [sys.executable, "-c", HOUR, *map(str, paths)],
        env={"PYTHONPATH": f"{repository}:{repository / 'tests'}",
             "OMP_NUM_THREADS": "1", "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    short, hour = json.loads(done.stdout.splitlines()[-1])
    assert hour[0] == 3600.0 and hour[1] == 20 * short[1] > 0
    # The hour at 16 kHz alone would be 220 MiB.
    assert hour[2] - short[2] < 50
    assert torch.tensor(hour).isfinite().all()
