"""`e2v extract`: what it writes, and how it goes on after trouble."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import Utterance, write_manifest
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.inference import Emotion2vec
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.feature_files import FeatureFiles, StoreFiles
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
    # To the bit: it was computed in the batch that it was in before.
    np.testing.assert_array_equal(np.load(gone), expected)


@pytest.mark.parametrize("form", ["npy", "npz", "store"])
def test_a_run_killed_within_a_batch_ends_with_the_same_bits(
    encoder, audio, tmp_path, form, monkeypatch
):
    whole, output = tmp_path / "whole", tmp_path / "out"
    options = (audio, "--format", form, "--batch_seconds", "30")  # one batch
    assert extract(encoder, whole, *options) == 0
    for kind in (FeatureFiles, StoreFiles):
        monkeypatch.setattr(kind, "write", killed_after(2, kind.write))
    assert extract(encoder, output, *options) == 130
    [journal] = (output / ".parts").glob("*.jsonl")
    with open(journal, "a") as file:
        file.write('{"id": "a/')  # killed while writing
    monkeypatch.undo()
    assert extract(encoder, output, *options) == 0
    names = {p.relative_to(whole) for p in whole.rglob("*") if p.is_file()}
    for name in names - {Path("index.json")}:
        assert (output / name).read_bytes() == (whole / name).read_bytes()
    one, other = (
        json.loads((folder / "index.json").read_text())
        for folder in (whole, output)
    )
    assert dict(zip(one["ids"], one["content"], strict=True)) == dict(
        zip(other["ids"], other["content"], strict=True)
    )
    assert not (output / ".parts").exists()


def killed_after(clips, write):
    def writing(self, *arguments):
        nonlocal clips
        if not clips:
            raise KeyboardInterrupt
        clips -= 1
        write(self, *arguments)

    return writing


KILLED = """
import os, signal, sys
from speechbrain_e2v.cli import main
from speechbrain_e2v.inference.feature_files import FeatureFiles, StoreFiles

left = 2
def killing(write):
    def writing(*arguments):
        global left
        write(*arguments)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
    return writing

for kind in (FeatureFiles, StoreFiles):
    kind.write = killing(kind.write)
main(sys.argv[1:])
"""


@pytest.mark.parametrize("form", ["npy", "store"])
def test_a_killed_process_leaves_no_lock_and_no_other_bits(
    encoder, audio, tmp_path, form, repository
):
    whole, output = tmp_path / "whole", tmp_path / "out"
    options = ("--format", form, "--batch_seconds", "30")
    assert extract(encoder, whole, audio, *options) == 0
    command = ["extract", str(audio), "--encoder", str(encoder), *options]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *command]
        + ["--device", "cpu", "-o", str(output)],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
    )
    assert done.returncode == -9, done.stderr
    assert extract(encoder, output, audio, *options) == 0
    for path in whole.rglob("*"):
        if path.is_file() and path.name != "index.json":
            other = output / path.relative_to(whole)
            assert other.read_bytes() == path.read_bytes()
    names = {p.name for folder in (whole, output) for p in folder.iterdir()}
    assert names <= {"a", "b", "frames.npy", "index.json", "extraction.json"}


def feature_of(folder, name):
    if (folder / "frames.npy").is_file():
        return FeatureStore(folder).utterance(name)
    return np.load(folder / f"{name}.npy")


@pytest.mark.parametrize("form", ["npy", "store"])
def test_another_file_under_a_known_id_is_refused(
    encoder, audio, tmp_path, form, capsys
):
    output = tmp_path / "out"
    options = ("--format", form)
    assert extract(encoder, output, audio / "a/x.wav", *options) == 0
    before = feature_of(output, "x").copy()
    assert extract(encoder, output, audio / "b/x.wav", *options) == 1
    said = capsys.readouterr().err
    for words in ("x is there already", "a/x.wav", "b/x.wav", "another folder"):
        assert words in said
    np.testing.assert_array_equal(feature_of(output, "x"), before)
    # The same bytes elsewhere are the same source.
    moved = tmp_path / "moved" / "x.wav"
    moved.parent.mkdir()
    moved.write_bytes((audio / "a/x.wav").read_bytes())
    assert extract(encoder, output, moved, *options) == 0
    assert "1 were there already" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["npy", "store"])
def test_a_file_that_changed_is_made_again(
    encoder, model, audio, tmp_path, form, capsys
):
    output, path = tmp_path / "out", audio / "a/x.wav"
    options = (audio / "a", "--format", form)
    assert extract(encoder, output, *options) == 0
    kept = feature_of(output, "y").copy()
    times = path.stat()
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[::-1], rate)  # the same size, the same time
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    capsys.readouterr()
    assert extract(encoder, output, *options) == 0
    said = capsys.readouterr().out
    assert "1 were there already; 1 were made of other content" in said
    expected = model.extract(path, granularity="frame").values
    same(feature_of(output, "x"), expected)
    np.testing.assert_array_equal(feature_of(output, "y"), kept)
    if form == "store":
        assert len(FeatureStore(output)) == 2


@pytest.mark.parametrize("form", ["npy", "store"])
def test_another_piece_of_a_file_is_made_again(
    encoder, model, audio, tmp_path, form
):
    output, manifest = tmp_path / "out", tmp_path / "m.json"
    for stop in (0.3, 0.4):
        row = Utterance("part", "b/x.wav", start=0.2, stop=stop)
        write_manifest(manifest, [row], audio)
        assert extract(encoder, output, manifest, "--format", form) == 0
    wave, _ = soundfile.read(audio / "b/x.wav", dtype="float32")
    expected = model.extract(wave[3200:6400], 16000, "frame").values
    same(feature_of(output, "part"), expected)


@pytest.mark.parametrize(
    ("form", "name", "changes"),
    [
        (form, "index.json", changes)
        for form in ("npy", "store")
        for changes in (
            {"ids": "x"}, {"ids": ["x", "x"]}, {"ids": ["x"]},
            {"content": [7, 7]}, {"content": [{}]}, {"num_frames": [-1, 3]},
            {"num_frames": [2**50, 1]}, {"seconds": [None]},
        )
    ] + [("store", "index.json", {"row_shape": [2**30]}),
         ("store", "index.json", {"row_shape": []}),
         ("npy", "extraction.json", [])],
)  # fmt: skip
def test_a_changed_document_is_one_line(
    encoder, audio, tmp_path, form, name, changes, capsys
):
    output = tmp_path / "out"
    options = (audio / "a", "--format", form)
    assert extract(encoder, output, *options) == 0
    path = output / name
    there = json.loads(path.read_text())
    if isinstance(changes, dict):
        changes = {**there, **changes}
    path.write_text(json.dumps(changes))
    (output / "x.npy").unlink(missing_ok=True)
    capsys.readouterr()
    assert extract(encoder, output, *options) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("e2v: ") and str(output) in said


def test_damaged_parts_are_named(encoder, audio, tmp_path, capsys):
    output = tmp_path / "out"
    options = (audio / "a", "--format", "store")
    assert extract(encoder, output, *options) == 0
    with open(output / "frames.npy", "r+b") as file:
        file.truncate(100)
    assert extract(encoder, output, audio / "b", "--format", "store") == 1
    assert "frames.npy is not a whole npy file" in capsys.readouterr().err
    parts = tmp_path / "other" / ".parts"
    parts.mkdir(parents=True)
    (parts / "00000.jsonl").write_text('{"id": 7}\n')
    assert extract(encoder, parts.parent, *options) == 1
    assert "00000.jsonl: line 1: Expected `str`" in capsys.readouterr().err


def test_ids_that_are_one_file_are_refused(encoder, audio, tmp_path, capsys):
    manifest = tmp_path / "m.json"
    rows = [Utterance(n, "a/x.wav") for n in ("a/b", "a//b", "a/./b", "a/b/")]
    write_manifest(manifest, rows, audio)
    assert extract(encoder, tmp_path / "out", manifest) == 1
    assert (
        "1 ids are there twice, the first is 'a/b'" in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_filled_up_clips_are_another_kind_of_features(
    encoder, audio, tmp_path, capsys
):
    output = tmp_path / "out"
    assert extract(encoder, output, audio, "--pad_short") == 0
    assert extract(encoder, output, audio) == 1
    assert "pad_short is True there and False now" in capsys.readouterr().err


def test_one_channel(encoder, model, tmp_path, capsys):
    wave = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([wave, -wave], axis=1), 16000, "FLOAT")
    output = tmp_path / "out"
    assert extract(encoder, output, path, "--channel", "1") == 0
    expected = model.extract(-wave, 16000, "frame").values
    same(np.load(output / "stereo.npy"), expected)
    assert extract(encoder, output, path) == 1
    assert "channel is 1 there and None now" in capsys.readouterr().err
    assert extract(encoder, tmp_path / "third", path, "--channel", "2") == 1
    assert "channel 2 of 2" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["npy", "store"])
def test_one_run_writes_a_folder(encoder, audio, tmp_path, form, capsys):
    output, started, ended = tmp_path / "out", Event(), Event()

    def other_run():
        with sole_writer(output):
            started.set()
            ended.wait()

    with ThreadPoolExecutor() as pool:
        other = pool.submit(other_run)
        started.wait()
        try:
            assert extract(encoder, output, audio, "--format", form) == 1
        finally:
            ended.set()
        other.result()
    said = capsys.readouterr().err
    assert f"{output} is being written by another run" in said
    assert list(output.iterdir()) == []
    assert extract(encoder, output, audio, "--format", form) == 0


@pytest.mark.parametrize("form", ["npy", "store"])
def test_a_name_that_is_not_utf_8(encoder, model, audio, tmp_path, form):
    odd = os.fsdecode(os.fsencode(audio / "a") + b"/col\xe8re.wav")
    os.rename(audio / "a/x.wav", odd)
    output = tmp_path / "out"
    for _ in range(2):
        assert extract(encoder, output, audio / "a", "--format", form) == 0
        expected = model.extract(odd, granularity="frame").values
        same(feature_of(output, r"col\xe8re"), expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("é.wav\n".encode("latin-1"), "line 1 is not UTF-8"),
        ("a/x.wav\n".encode("utf-16"), "is UTF-16"),
    ],
)
def test_lists_of_other_encodings_are_named(
    encoder, audio, tmp_path, content, words, capsys
):
    (audio / "some.txt").write_bytes(content)
    assert extract(encoder, tmp_path / "out", audio / "some.txt") == 1
    said = capsys.readouterr().err
    assert f"some.txt: {words}" in said or f"some.txt {words}" in said


def test_a_list_with_a_byte_order_mark(audio):
    path = audio / "some.txt"
    path.write_bytes("a/x.wav\n".encode("utf-8-sig"))
    assert [clip.name for clip in list_clips([path])] == ["x"]


def test_a_store_goes_on_where_it_stopped(
    encoder, audio, tmp_path, monkeypatch, capsys
):
    whole, output = tmp_path / "whole", tmp_path / "out"
    options = ("--format", "store", "--batch_seconds", "0.1")
    assert extract(encoder, whole, audio, *options) == 0
    write, names = StoreWriter.write, []

    def interrupted(self, name, *about):
        if len(names) == 2:
            raise KeyboardInterrupt
        names.append(name)
        write(self, name, *about)

    monkeypatch.setattr(StoreWriter, "write", interrupted)
    assert extract(encoder, output, audio, *options) == 130
    assert not (output / "index.json").exists()
    (part,) = (output / ".parts").glob("*.f32")
    with open(part, "ab") as file:  # half a clip: killed while writing
        file.write(b"123456")

    def counted(self, name, *about):
        names.append(name)
        write(self, name, *about)

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
