"""The feature store: right, computed once, never half-written."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.feature_cache import (
    audio_digest,
    cached_features,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features


class Envelope:
    """Two features per 100 samples; counts how often it was called."""

    def __init__(self, digest="1"):
        self.digest = digest
        self.batches = []

    def extract(self, waveforms):
        self.batches.append([len(w) for w in waveforms])
        return [
            torch.stack([w[: len(w) // 100 * 100].view(-1, 100).mean(1),
                         w[: len(w) // 100 * 100].view(-1, 100).std(1)], 1)
            for w in waveforms
        ]  # fmt: skip


@pytest.fixture
def utterances(tmp_path):
    generator = np.random.default_rng(0)
    rows = []
    for i, samples in enumerate([3000, 900, 12000, 5000, 700]):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, generator.uniform(-0.5, 0.5, samples), 16000)
        rows.append(Utterance(f"u{i}", str(path), duration=samples / 16000))
    return rows


def test_store_holds_what_the_upstream_gives(utterances, tmp_path):
    upstream = Envelope()
    store = cached_features(
        tmp_path / "cache", upstream, utterances, 0.5, progress=False
    )
    assert len(store) == 5
    assert store.dim == 2
    assert len(upstream.batches) > 1
    assert all(max(b) * len(b) <= 8000 or len(b) == 1
               for b in upstream.batches)  # fmt: skip
    alone = {}
    for row in utterances:
        waveform = soundfile.read(row.wav, dtype="float32")[0]
        (alone[row.id],) = upstream.extract([torch.from_numpy(waveform)])
        assert np.array_equal(store.utterance(row.id), alone[row.id])
    names = ["u3", "u0", "u4"]
    frames, counts = store.packed(names)
    assert torch.equal(frames, torch.cat([alone[n] for n in names]))
    assert counts.tolist() == [50, 30, 7]
    means = np.stack([alone[n].double().mean(0) for n in names])
    assert np.array_equal(store.means(names), means.astype(np.float32))


def test_second_time_nothing_is_computed(utterances, tmp_path):
    cached_features(tmp_path / "c", Envelope(), utterances, progress=False)
    again = Envelope()
    store = cached_features(
        tmp_path / "c", again, utterances[::-1], progress=False
    )
    assert again.batches == []
    assert len(store) == 5


def test_another_upstream_or_audio_has_another_store(utterances, tmp_path):
    def key(upstream, rows):
        cache = tmp_path / "c"
        return cached_features(cache, upstream, rows, progress=False).folder

    first = key(Envelope(), utterances)
    assert key(Envelope("2"), utterances) != first
    assert key(Envelope(), utterances[:4]) != first
    piece = [replace(utterances[0], stop=0.1), *utterances[1:]]
    assert key(Envelope(), piece) != first
    samples, rate = soundfile.read(utterances[0].wav)
    soundfile.write(utterances[0].wav, samples * 0.5, rate)
    assert key(Envelope(), utterances) != first


def test_digest_ignores_order_and_place(utterances, tmp_path):
    moved = tmp_path / "elsewhere.wav"
    moved.write_bytes(open(utterances[0].wav, "rb").read())
    rows = [replace(utterances[0], wav=str(moved)), *utterances[:0:-1]]
    assert audio_digest(rows) == audio_digest(utterances)


def test_an_interrupted_extraction_is_gone_on_with(utterances, tmp_path):
    class Broken(Envelope):
        def extract(self, waveforms):
            if self.batches:
                raise KeyboardInterrupt
            return super().extract(waveforms)

    with pytest.raises(KeyboardInterrupt):
        cached_features(
            tmp_path / "c", Broken(), utterances, 0.2, progress=False
        )
    [half] = (tmp_path / "c").iterdir()
    assert [path.name for path in half.iterdir()] == [".parts"]
    again = Envelope()
    store = cached_features(
        tmp_path / "c", again, utterances, 0.2, progress=False
    )
    assert sum(map(len, again.batches)) == 4  # one was there
    assert [path.name for path in half.parent.iterdir()] == [half.name]
    whole = cached_features(
        tmp_path / "d", Envelope(), utterances, 0.2, progress=False
    )
    for name in ("frames.npy", "index.json"):
        one, other = (x.folder / name for x in (store, whole))
        assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in half.iterdir()) == [
        "frames.npy", "index.json"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "frames", [torch.zeros(0, 2), torch.tensor([[1.0, float("nan")]])]
)
def test_bad_features_are_named(frames, tmp_path):
    with pytest.raises(ValueError, match="bad: [01] frames"):
        write_features(tmp_path / "s", [("a", torch.ones(1, 2)),
                                        ("bad", frames)])  # fmt: skip
    assert not (tmp_path / "s").exists()


def test_a_damaged_store_is_refused(tmp_path):
    folder = write_features(tmp_path / "s", [("a", torch.ones(4, 2))])
    np.save(folder / "frames.npy", np.ones((3, 2), np.float32))
    with pytest.raises(ValueError, match="4 frames.*has 3.*delete"):
        FeatureStore(folder)


def test_frames_are_a_plain_npy_file(tmp_path):
    folder = write_features(
        tmp_path / "s", [(str(i), torch.full((i, 3), float(i)))
                         for i in range(1, 40)]
    )  # fmt: skip
    frames = np.load(folder / "frames.npy")
    assert frames.dtype == np.float32
    assert frames.shape == (780, 3)
    assert frames[:, 0].tolist() == [i for i in range(1, 40) for _ in range(i)]
