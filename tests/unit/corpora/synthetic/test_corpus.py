"""The folder: same bytes, right files, and emotions that can be measured."""

import csv
import hashlib
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from scipy.signal import butter, sosfilt, spectrogram
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchaudio.transforms import MFCC

from speechbrain_e2v.corpora.synthetic import corpus
from speechbrain_e2v.corpora.synthetic.corpus import write_corpus
from speechbrain_e2v.corpora.synthetic.prosody import EMOTIONS


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_labels(folder):
    with open(folder / "labels.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_wav(folder, row):
    rate, samples = wavfile.read(folder / row["path"])
    assert rate == 16000 and samples.dtype == np.int16 and samples.ndim == 1
    return samples / 32768


def test_two_processes_write_the_same_bytes(tmp_path, repository):
    for name, hash_seed in (("a", "1"), ("b", "2")):
        command = [sys.executable, "-m", "speechbrain_e2v.corpora.synthetic"]
        command += ["--output", str(tmp_path / name), "--speakers", "2"]
        command += ["--utterances", "3", "--seconds", "0.5", "1.0"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        subprocess.run(command, cwd=repository, env=environment, check=True)
    first = digests(tmp_path / "a")
    assert len(first) == 7
    assert first == digests(tmp_path / "b")
    assert len(set(first.values())) == 7


def test_a_larger_corpus_contains_the_smaller_and_seeds_differ(tmp_path):
    length = (0.5, 0.8)
    write_corpus(tmp_path / "small", 1, 2, length)
    write_corpus(tmp_path / "large", 2, 4, length)
    write_corpus(tmp_path / "other", 1, 2, length, seed=1)
    small, large, other = (
        digests(tmp_path / name) for name in ("small", "large", "other")
    )
    for name in small.keys() - {"labels.csv"}:
        assert large[name] == small[name] != other[name]


def test_files_and_labels(generated_corpus):
    rows = read_labels(generated_corpus)
    assert len(rows) == 48
    assert {row["label"] for row in rows} == set(EMOTIONS)
    wavs = {
        path.relative_to(generated_corpus).as_posix()
        for path in generated_corpus.rglob("*.wav")
    }
    assert wavs == {row["path"] for row in rows}
    for row in rows:
        stem = f"{row['speaker']}_{row['sentence']}_{row['label']}_0"
        assert row["path"] == f"wav/{stem}.wav"
        assert row["gender"] == "FM"[int(row["speaker"][1:]) % 2]
        samples = read_wav(generated_corpus, row)
        assert 0.99 <= len(samples) / 16000 <= 2.0
        assert np.abs(samples).max() <= 0.951
        assert samples.std() > 0.002


def test_an_interrupted_run_leaves_no_labels(tmp_path, monkeypatch):
    write_corpus(tmp_path, 1, 2, (0.5, 0.8))

    def full_disk(path, waveform):
        raise OSError("no space left")

    monkeypatch.setattr(corpus, "write_wav", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_corpus(tmp_path, 1, 2, (0.5, 0.8))
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speakers": 0}, "speakers is 0"),
        ({"utterances_per_speaker": 0}, "utterances_per_speaker is 0"),
        ({"seconds": (2.0, 1.0)}, r"\(2.0, 1.0\)"),
        ({"seconds": (0.1, 1.0)}, "0.5 and 30"),
    ],
)
def test_impossible_requests_write_nothing(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_corpus(tmp_path / "corpus", **arguments)
    assert not (tmp_path / "corpus").exists()


def estimate_f0(samples):
    """F0 of the voiced frames in Hz, by autocorrelation of 40 ms windows."""
    samples = sosfilt(butter(4, 900, fs=16000, output="sos"), samples)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 640)[::160]
    window = np.hanning(640)
    frames = (frames - frames.mean(1, keepdims=True)) * window
    power = np.abs(np.fft.rfft(np.vstack([frames, window]), 2048)) ** 2
    correlation = np.fft.irfft(power)[:, :321]
    correlation = correlation / correlation[:, :1]
    correlation = correlation[:-1] / correlation[-1]
    lags = np.arange(35, 260)  # 457 Hz to 62 Hz
    here = correlation[:, lags]
    before, after = correlation[:, lags - 1], correlation[:, lags + 1]
    peak = (here > before) & (here >= after)
    here = np.where(peak, here, 0.0)
    # Multiples of a period correlate as well: the shortest good lag wins.
    first = (here > 0.87 * here.max(1, keepdims=True)).argmax(1)
    loud = frames.std(1) > 0.25 * frames.std(1).max()
    return 16000 / lags[first][loud & (here.max(1) > 0.6)]


@pytest.fixture(scope="module")
def measured(generated_corpus):
    """Means over speakers and sentences: emotion -> quantity -> value."""
    values = defaultdict(lambda: defaultdict(list))
    for row in read_labels(generated_corpus):
        samples = read_wav(generated_corpus, row)
        semitones = 12 * np.log2(estimate_f0(samples))
        assert len(semitones) > 20, row["path"]
        frequencies, _, power = spectrogram(samples, 16000, nperseg=512)
        low = power[(frequencies > 80) & (frequencies < 1000)].sum(0)
        high = power[(frequencies > 1500) & (frequencies < 4000)].sum(0)
        voiced = low > 0.1 * low.max()
        for name, value in {
            "pitch": np.median(semitones),
            "span": np.subtract(*np.percentile(semitones, [90, 10])),
            "loudness": 20 * np.log10(samples.std()),
            "seconds": len(samples) / 16000,
            "brightness": np.mean(10 * np.log10(high / low)[voiced]),
        }.items():
            values[row["label"]][name].append(value)
    return {
        emotion: {name: np.mean(v) for name, v in quantities.items()}
        for emotion, quantities in values.items()
    }


@pytest.mark.parametrize(
    ("quantity", "more", "less", "margin"),
    [
        ("pitch", "angry", "neutral", 1.5),  # semitones
        ("pitch", "fearful", "neutral", 2.0),
        ("pitch", "happy", "neutral", 1.5),
        ("pitch", "neutral", "sad", 0.3),
        ("span", "happy", "neutral", 0.5),
        ("span", "neutral", "sad", 0.5),
        ("loudness", "angry", "neutral", 2.0),  # dB
        ("loudness", "neutral", "sad", 2.0),
        ("seconds", "sad", "neutral", 0.1),
        ("seconds", "disgusted", "neutral", 0.1),
        ("seconds", "neutral", "fearful", 0.1),
        ("brightness", "angry", "neutral", 1.0),  # dB
        ("brightness", "neutral", "sad", 1.0),
    ],
)
def test_emotions_differ_as_intended(measured, quantity, more, less, margin):
    difference = measured[more][quantity] - measured[less][quantity]
    assert difference > margin


def test_women_speak_higher(generated_corpus):
    pitch = defaultdict(list)
    for row in read_labels(generated_corpus):
        if row["label"] == "neutral":
            samples = read_wav(generated_corpus, row)
            pitch[row["gender"]].append(np.median(estimate_f0(samples)))
    assert min(pitch["F"]) > 1.1 * max(pitch["M"])


def test_classes_overlap(tmp_path):
    """Speaker-independent MFCC statistics: far above chance, far below 1."""
    write_corpus(tmp_path, 6, 30, (1.0, 2.0))
    rows = read_labels(tmp_path)
    mel = {"n_fft": 400, "hop_length": 160, "n_mels": 40}
    mfcc = MFCC(16000, 20, melkwargs=mel)
    statistics = []
    for row in rows:
        samples = torch.tensor(read_wav(tmp_path, row), dtype=torch.float32)
        frames = mfcc(samples)
        statistics.append(torch.cat([frames.mean(1), frames.std(1)]).numpy())
    scores = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        np.array(statistics),
        [row["label"] for row in rows],
        groups=[row["speaker"] for row in rows],
        cv=LeaveOneGroupOut(),
    )
    assert 0.5 < scores.mean() < 0.9
