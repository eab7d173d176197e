"""`e2v extract`: what it writes, and how it goes on after trouble."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import Utterance, write_manifest
from speechbrain_e2v.inference import Emotion2vec
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.feature_store import FeatureStore, StoreWriter
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import (
    save_encoder,
    weights_digest,
)

SECONDS = {
    "a/x.wav": 0.5,
    "a/y.wav": 0.3,
    "b/x.wav": 0.9,
    "b/y.flac": 0.2,
    "b/y.wav": 0.7,
}
NAMES = ["a/x", "a/y", "b/x", "b/y.flac", "b/y.wav"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Emotion2vecEncoder(
            embed_dim=24, num_heads=2, prenet_depth=1, depth=3,
            num_extra_tokens=2, conv_channels=16, pos_conv_groups=2,
        )  # fmt: skip
    folder = tmp_path_factory.mktemp("encoder")
    return save_encoder(folder, encoder, {"name": "tiny"})


@pytest.fixture(scope="module")
def model(encoder):
    return Emotion2vec.from_pretrained(encoder, device="cpu")


@pytest.fixture
def audio(tmp_path):
    folder = tmp_path / "audio"
    random = np.random.default_rng(0)
    for name, seconds in SECONDS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = random.normal(0, 0.1, round(16000 * seconds))
        soundfile.write(path, samples, 16000)
    return folder


def extract(encoder, output, *arguments):
    return main(
        ["extract", *map(str, arguments), "--encoder", str(encoder)]
        + ["--device", "cpu", "-o", str(output)]
    )


def same(ours, expected):
    torch.testing.assert_close(
        torch.from_numpy(np.array(ours)), expected, atol=1e-5, rtol=0
    )


def written(folder, suffix="npy"):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob(f"*.{suffix}")
    )


def test_one_file_a_clip(encoder, model, audio, tmp_path, capsys):
    output = tmp_path / "out"
    assert extract(encoder, output, audio) == 0
    assert "5 clips" in capsys.readouterr().out
    assert written(output) == [f"{name}.npy" for name in NAMES]
    for name, path in zip(NAMES, SECONDS, strict=True):
        expected = model.extract(audio / path, granularity="frame").values
        same(np.load(output / f"{name}.npy"), expected)


def test_files_are_named_by_stem_unless_stems_collide(encoder, audio, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert extract(encoder, one, audio / "a/x.wav", audio / "b/y.wav") == 0
    assert written(one) == ["x.npy", "y.npy"]
    assert extract(encoder, two, audio / "a/x.wav", audio / "b/x.wav") == 0
    assert written(two) == ["a/x.npy", "b/x.npy"]


def test_lists_and_manifests(encoder, model, audio, tmp_path):
    text = audio / "some.txt"
    text.write_text("a/x.wav\n\n# not this\nb/y.wav\na/x.wav\n")
    scp = audio / "wav.scp"
    scp.write_text("id1 a/y.wav\n")
    manifest = tmp_path / "m.json"
    row = Utterance("part", "b/x.wav", start=0.2, stop=0.6)
    write_manifest(manifest, [row], audio)
    output = tmp_path / "out"
    assert extract(encoder, output, text, scp, manifest) == 0
    # Two files are called y: all get their folders.
    assert written(output) == ["a/x.npy", "a/y.npy", "b/y.npy", "part.npy"]
    wave, _ = soundfile.read(audio / "b/x.wav", dtype="float32")
    expected = model.extract(wave[3200:9600], 16000, "frame").values
    same(np.load(output / "part.npy"), expected)


def test_npz_of_all_layers(encoder, model, audio, tmp_path):
    output = tmp_path / "out"
    options = ("--format", "npz", "--layer", "all")
    assert extract(encoder, output, audio / "a/x.wav", *options) == 0
    with np.load(output / "x.npz") as arrays:
        expected = model.extract(audio / "a/x.wav", None, "frame", "all")
        same(arrays["features"], expected.values)
        assert arrays["times"].tolist() == expected.times.tolist()
        assert arrays["seconds"] == 0.5


@pytest.mark.parametrize("granularity", ["frame", "utterance"])
@pytest.mark.parametrize("layer", ["mean_last_4", "all"])
def test_store(encoder, model, audio, tmp_path, granularity, layer):
    output = tmp_path / "out"
    options = ("--format", "store", "--granularity", granularity)
    assert extract(encoder, output, audio, *options, "--layer", layer) == 0
    index = json.loads((output / "index.json").read_text())
    assert index["ids"] == NAMES
    assert index["seconds"] == list(SECONDS.values())
    assert index["layer"] == layer
    assert index["weights_sha256"] == weights_digest(model.encoder)
    store = FeatureStore(output)
    for name, path in zip(NAMES, SECONDS, strict=True):
        expected = model.extract(audio / path, None, granularity, layer).values
        if granularity == "utterance":
            expected = expected.unsqueeze(-2)
        if layer == "all":
            expected = expected.transpose(0, 1)  # time first
        same(store.utterance(name), expected)
    assert not (output / ".parts").exists()


def test_goes_on_where_files_are_missing(encoder, audio, tmp_path, capsys):
    output = tmp_path / "out"
    assert extract(encoder, output, audio) == 0
    gone = output / "b/x.npy"
    expected = np.load(gone)
    gone.unlink()
    kept = {p: p.stat().st_mtime_ns for p in output.rglob("*.npy")}
    assert extract(encoder, output, audio) == 0
    assert "1 clips" in (said := capsys.readouterr().out)
    assert "4 were there already" in said
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    np.testing.assert_allclose(np.load(gone), expected, atol=1e-5)


def test_a_store_goes_on_where_it_stopped(
    encoder, audio, tmp_path, monkeypatch, capsys
):
    whole, output = tmp_path / "whole", tmp_path / "out"
    options = ("--format", "store", "--batch_seconds", "0.1")
    assert extract(encoder, whole, audio, *options) == 0
    write, names = StoreWriter.write, []

    def interrupted(self, name, values, **about):
        if len(names) == 2:
            raise KeyboardInterrupt
        names.append(name)
        write(self, name, values, **about)

    monkeypatch.setattr(StoreWriter, "write", interrupted)
    assert extract(encoder, output, audio, *options) == 130
    assert not (output / "index.json").exists()
    (part,) = (output / ".parts").glob("*.f32")
    with open(part, "ab") as file:  # half a clip: killed while writing
        file.write(b"123456")

    def counted(self, name, values, **about):
        names.append(name)
        write(self, name, values, **about)

    monkeypatch.setattr(StoreWriter, "write", counted)
    assert extract(encoder, output, audio, *options) == 0
    assert sorted(names) == NAMES  # each once over both runs
    for name in ("frames.npy", "index.json"):
        assert (output / name).read_bytes() == (whole / name).read_bytes()
    assert "2 were there already" in capsys.readouterr().out


def test_a_finished_store_takes_more(encoder, model, audio, tmp_path):
    output = tmp_path / "out"
    store = ("--format", "store")
    some, more = audio / "b/y.flac", audio / "a"
    assert extract(encoder, output, some, *store) == 0
    first = FeatureStore(output).utterance("y").copy()
    (audio / "a/y.wav").rename(audio / "a/z.wav")
    assert extract(encoder, output, more, *store) == 0
    both = FeatureStore(output)
    assert len(both) == 3
    np.testing.assert_array_equal(both.utterance("y"), first)
    expected = model.extract(audio / "a/z.wav", granularity="frame").values
    same(both.utterance("z"), expected)


def test_names_that_collide(audio):
    def names(*paths):
        return [clip.name for clip in list_clips([audio / p for p in paths])]

    assert names("a", "b/y.wav") == ["a/x", "a/y", "b/y"]
    assert names("a", "b") == NAMES
    assert names("b/y.wav", "b/y.flac") == ["y.wav", "y.flac"]
    assert names("a/x.wav", "a/../a/x.wav") == ["x"]


def test_other_settings_are_refused(encoder, audio, tmp_path, capsys):
    output = tmp_path / "out"
    assert extract(encoder, output, audio) == 0
    assert extract(encoder, output, audio, "--layer", "1") == 1
    said = capsys.readouterr().err
    assert "layer is 'last' there and 1 now" in said
    assert "Traceback" not in said


def test_bad_files_are_named_and_the_rest_is_done(
    encoder, audio, tmp_path, capsys
):
    (audio / "a/x.wav").write_bytes(b"not audio")
    soundfile.write(audio / "b/click.wav", np.zeros(100), 16000)
    broken = np.zeros(8000, dtype=np.float32)
    broken[5] = np.nan
    soundfile.write(audio / "b/nan.wav", broken, 16000, subtype="FLOAT")
    output = tmp_path / "out"
    assert extract(encoder, output, audio) == 1
    said = capsys.readouterr()
    assert "4 clips" in said.out
    tail = said.err[said.err.index("e2v: 3 could not be used:") :]
    for words in (
        "x.wav: unreadable",
        "click.wav: 100 samples",
        "nan.wav: non",
    ):
        assert words in tail
    assert written(output) == [f"{name}.npy" for name in NAMES[1:]]
    assert not list(output.rglob("*.tmp"))
    assert extract(encoder, output, audio / "b", "--pad_short") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/folder.txt"], "no/folder.txt"),
        (["."], "no audio in ."),
        (["x.wav", "--layer", "9"], "layer is 9"),
        (["x.wav", "--window", "-1"], "window is -1"),
        (["x.wav", "--encoder", "no/encoder"], "no/encoder"),
    ],
)
def test_one_line_says_what_is_wrong(
    encoder, tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    given = ["--encoder", str(encoder), *arguments, "-o", "out"]
    assert main(["extract", "--offline", *given]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_a_full_disk(encoder, audio, tmp_path, monkeypatch, capsys):
    def full(file, values):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert extract(encoder, tmp_path / "out", audio) == 1
    assert "No space left" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == [
        "extraction.json"
    ]


def test_two_processes_write_one_store(encoder, audio, tmp_path, repository):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    (audio / "b/bad.wav").write_bytes(b"not audio")
    assert extract(encoder, alone, audio, "--format", "store") == 1
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        + ["--nproc_per_node", "2", "-m", "speechbrain_e2v.cli", "extract"]
        + [str(audio), "--encoder", str(encoder), "--format", "store"]
        + ["--device", "cpu", "-o", str(shared)],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "5 clips" in done.stdout and done.stdout.count("clips") == 1
    assert done.stderr.count("bad.wav: unreadable") == 1
    one, two = FeatureStore(alone), FeatureStore(shared)
    for name in NAMES:
        np.testing.assert_allclose(
            two.utterance(name), one.utterance(name), atol=1e-5
        )
    read = [json.loads((f / "index.json").read_text()) for f in (alone, shared)]
    assert read[0] == read[1]
