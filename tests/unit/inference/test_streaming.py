"""A stream gives what the file gives, in time and without growing."""

import json

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.tiny import tiny_trained
from unit.inference.voices import joined, voice

from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.streaming import StreamingClassifier
from speechbrain_e2v.inference.timeline import emotion_timeline


@pytest.fixture(scope="module")
def classifier():
    return EmotionClassifier(tiny_trained())


@pytest.fixture(scope="module")
def recording():
    return joined([voice(number=n) for n in range(5)], 0.8, -50.0)[0]


def heard(classifier, wav, size, **options):
    stream = StreamingClassifier(classifier, **options)
    cells = []
    for block in torch.from_numpy(wav).split(size):
        cells += stream.feed(block)
    return cells + stream.finish()


@pytest.mark.parametrize("size", [160, 7001, 10**6])
@pytest.mark.parametrize(("window", "hop"), [(3, 1), (1, 0.25), (0.5, 1 / 30)])
def test_a_stream_equals_the_file(
    classifier, recording, tmp_path, size, window, hop
):
    path = tmp_path / "a.wav"
    soundfile.write(path, recording, 16000, subtype="FLOAT")
    options = {"window": window, "hop": hop}
    expected = emotion_timeline(classifier, path, **options)
    cells = heard(classifier, recording, size, **options)
    assert len(cells) == len(expected.posteriors) > 5
    for index, cell in enumerate(cells):
        assert cell.start == pytest.approx(index * expected.hop, abs=1e-9)
        row = expected.posteriors[index]
        if cell.posteriors is None:
            assert np.isnan(row).all()
        else:
            np.testing.assert_allclose(cell.posteriors, row, atol=1e-5)
        assert cell.loudness_db == pytest.approx(
            expected.loudness[index], abs=1e-3
        )
    spoken = [cell for cell in cells if cell.posteriors is not None]
    assert 0 < len(spoken) < len(cells)


def test_cells_come_in_time(classifier, recording):
    window, hop, size = 1.0, 0.25, 800
    stream = StreamingClassifier(classifier, window, hop)
    given = late = 0.0
    for position, block in enumerate(torch.from_numpy(recording).split(size)):
        for cell in stream.feed(block):
            given = cell.end
        late = max(late, (position + 1) * size / 16000 - given)
    # What the detector waits for, the window, and the longest last piece.
    assert late < 1.6 + window + 1.5 * hop


def test_hours_need_no_memory(classifier, recording):
    stream = StreamingClassifier(classifier, 1.0, 0.5)
    block = torch.from_numpy(recording)
    held = []
    for _ in range(8):
        for part in block.split(8000):
            stream.feed(part)
        speech, clock = stream._speech, stream._clock
        held.append(len(speech._wav) + 1000 * len(clock._energies))
    assert max(held) < 5 * 16000 + 1000 * 20
    assert stream.samples == 8 * len(block)


def test_a_run_without_a_pause_does_not_grow(classifier):
    stream = StreamingClassifier(classifier, 0.5, 0.25, silence_db=None)
    for _ in range(40):
        stream.feed(torch.from_numpy(voice()))
    run = stream._speech._runs[0]
    assert len(run.rows) <= 3 and len(run.ends) <= 3


def test_other_rates_are_resampled(classifier, recording, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, recording, 22050, subtype="FLOAT")
    expected = emotion_timeline(classifier, path, 1, 0.5)
    cells = heard(
        classifier, recording, 4000, window=1, hop=0.5, sample_rate=22050
    )
    assert len(cells) == len(expected.posteriors)
    for cell, row in zip(cells, expected.posteriors, strict=True):
        if cell.posteriors is not None:
            np.testing.assert_allclose(cell.posteriors, row, atol=1e-4)


def test_a_row_says_all_in_json(classifier, recording):
    cells = heard(classifier, recording, 8000, merge={"low": ["sad", "anger"]})
    rows = [json.loads(json.dumps(cell.row())) for cell in cells]
    spoken = next(row for row in rows if row["scores"])
    assert list(spoken["scores"]) == ["low", "happiness"]
    assert spoken["confidence"] == max(spoken["scores"].values())
    silent = next(row for row in rows if row["scores"] is None)
    assert (silent["label"], silent["confidence"]) == ("silence", None)


@pytest.mark.parametrize(
    ("wav", "told"),
    [(torch.zeros(5, 2), "one channel"), (torch.zeros(5).long(), "int64"),
     (torch.tensor([0.0, float("nan")]), "sample 1 of this block is nan")],
)  # fmt: skip
def test_what_is_no_waveform_is_refused(classifier, wav, told):
    with pytest.raises(ValueError, match=told):
        StreamingClassifier(classifier).feed(wav)
