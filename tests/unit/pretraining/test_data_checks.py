"""Everything that is wrong is named before training starts."""

import re
from dataclasses import replace

import numpy
import pytest
import soundfile

from speechbrain_e2v.corpora.audio_info import measure_utterances
from speechbrain_e2v.corpora.manifest import Utterance
from speechbrain_e2v.pretraining.data_checks import (
    BadPretrainingData,
    check_pretraining,
)


@pytest.fixture
def make(tmp_path):
    def write(name, seconds, rate=16000, subtype="PCM_16", value=0.1):
        path = tmp_path / f"{name}.wav"
        wave = numpy.full(round(seconds * rate), value)
        soundfile.write(path, wave, rate, subtype)
        row = Utterance(name, str(path), dataset=name[0])
        return measure_utterances([row], "", False)[0]

    return write


def check(utterances, min_samples=8000):
    return check_pretraining(utterances, min_samples, progress=False)


def test_good_data_is_kept_and_counted(make):
    rows = [make("a1", 1), make("a2", 1.5, 44100), make("b1", 0.7, 8000)]
    short = [make("b2", 0.4), make("b3", 0.49, 48000)]
    kept, report = check(rows + short)
    assert kept == rows
    assert (report.listed, report.kept, report.too_short) == (5, 3, 2)
    assert report.hours == pytest.approx(3.2 / 3600)
    assert report.hours_too_short == pytest.approx(0.89 / 3600)
    assert report.per_dataset["a"] == pytest.approx(2.5 / 3600)
    assert "3 of 5 utterances" in str(report)


def test_lengths_that_a_manifest_leaves_out_are_filled_in(make):
    full = make("a", 1, 22050)
    bare = Utterance("a", full.wav, dataset="a")
    assert check([bare])[0] == [full]


def test_every_problem_is_in_one_error(make, tmp_path):
    good = make("good", 1)
    broken = make("broken", 1)
    (tmp_path / "broken.wav").write_text("no audio")
    truncated = make("truncated", 1)
    path = tmp_path / "truncated.wav"
    path.write_bytes(path.read_bytes()[:20000])
    empty = replace(good, id="empty", wav=str(tmp_path / "empty.wav"))
    soundfile.write(empty.wav, [], 16000)
    missing = replace(good, id="missing", wav=str(tmp_path / "missing.wav"))
    nan = make("nan", 1, subtype="FLOAT", value=numpy.nan)
    rate = replace(good, id="rate", sample_rate=8000)
    length = replace(good, id="length", num_samples=15999)
    beyond = replace(good, id="beyond", start=2.0, stop=3.0)
    again = replace(good, wav=truncated.wav)
    with pytest.raises(BadPretrainingData) as caught:
        check(
            [good, broken, truncated, empty, missing, nan]
            + [rate, length, beyond, again]
        )
    reasons = sorted(reason for reason, _ in caught.value.problems)
    assert reasons == sorted(
        ["unreadable", "truncated", "truncated", "empty", "missing"]
        + ["non_finite", "wrong_sample_rate", "wrong_num_samples"]
        + ["empty", "duplicate_id"]
    )
    text = str(caught.value)
    assert text.startswith("10 problems in the pre-training data (duplicate_id")
    for pattern in (
        "broken: .*broken.wav: unreadable",
        "truncated: .*announces 32000 bytes.*holds 19956",
        "empty: .*empty.wav: empty .0 samples at 16000 Hz",
        "missing: .*missing.wav: missing",
        "nan: .*nan.wav: non_finite .sample 0 is nan",
        "rate: .*has 16000 Hz, the manifest says 8000",
        "length: .*has 16000 samples, the manifest says 15999",
        "beyond: .*asked for 2.0 to 3.0 s",
        "good: is both .*good.wav and .*truncated.wav",
    ):
        assert re.search(pattern, text), pattern


def test_a_long_list_is_cut_but_counted(tmp_path):
    rows = [Utterance(f"u{i}", str(tmp_path / f"{i}.wav")) for i in range(50)]
    with pytest.raises(BadPretrainingData) as caught:
        check(rows)
    text = str(caught.value)
    assert "(missing: 50)" in text and "... and 30 more" in text
    assert text.count("\n") == 21


def test_nothing_long_enough_is_an_error(make):
    with pytest.raises(BadPretrainingData, match="the longest is b with 0.4 s"):
        check([make("a", 0.3), make("b", 0.4)])


def test_pieces_of_one_file(make):
    whole = make("w", 2, 22050)
    cuts = [(0.0, 0.777777), (0.777777, 1.333333), (1.333333, 9.0)]
    rows = [
        replace(whole, id=f"p{i}", start=a, stop=b, num_samples=0)
        for i, (a, b) in enumerate(cuts)
    ]
    kept, _ = check(rows)
    assert sum(u.num_samples for u in kept) == whole.num_samples
    near = [replace(u, num_samples=u.num_samples + 1) for u in kept]
    assert check(near)[0] == kept
    far = [replace(u, num_samples=u.num_samples + 2) for u in kept]
    with pytest.raises(BadPretrainingData, match="wrong_num_samples: 3"):
        check(far)


def test_impossible_limits_are_refused():
    with pytest.raises(ValueError, match="399 samples.*needs 400"):
        check([], min_samples=399)
    with pytest.raises(ValueError, match="list no utterance"):
        check([])
