"""Pre-training through its command line, in this process."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.cli import main as e2v
from speechbrain_e2v.console import one_line_errors
from speechbrain_e2v.downstream.upstreams.encoder import (
    random_encoder,
    trained_encoder,
)
from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.extractor import Emotion2vec
from speechbrain_e2v.inference.trained import ClassLabel, TrainedClassifier
from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.pretraining.data import PretrainingDataset
from speechbrain_e2v.pretraining.schedules import cosine_with_warmup
from speechbrain_e2v.published.encoder_folder import (
    load_encoder,
    read_card,
    weights_digest,
)
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

REPOSITORY = Path(__file__).resolve().parents[2]
YAML = REPOSITORY / "hparams/pretrain_tiny.yaml"
SMALL = {
    "embed_dim": 48,
    "depth": 1,
    "prenet_depth": 1,
    "top_k_layers": 1,
    "conv_channels": 16,
    "decoder_channels": 16,
    "clones": 2,
    "batch_seconds": 6,
    "max_seconds": 1.5,
    "updates": 4,
    "warmup_updates": 1,
    "log_interval": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def corpus(generated_corpus, tmp_path_factory):
    """A copy of a few files, and its manifest."""
    folder = tmp_path_factory.mktemp("speech")
    for path in sorted(generated_corpus.glob("wav/*.wav"))[:16]:
        shutil.copy(path, folder)
    return folder


def manifest(folder, output):
    assert e2v(["manifest", str(folder), "-o", str(output)]) == 0
    return output


def front_door():
    """The module of the top-level train.py."""
    name = "pretraining_front_door"
    if name not in sys.modules:
        path = REPOSITORY / "train.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def pretrain(argv):
    """As the command line does it."""
    with one_line_errors():
        return front_door().main(argv)


def train(output, manifests, **changes):
    argv = [str(YAML), f"--manifests={[str(m) for m in manifests]}"]
    argv += [f"--output_folder={output}", "--noprogressbar"]
    argv += [f"--{k}={v}" for k, v in {**SMALL, **changes}.items()]
    return pretrain(argv)


def health(output):
    lines = (output / "health.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pad_batches": True},
        {"precision": "bf16"},
        {"grad_accumulation_factor": 2, "utterance_loss": "global"},
        {"num_extra_tokens": 0, "utterance_loss_weight": 0.0}
        | {"utterance_loss": "global"},
        {"utterance_target": "standard", "utterance_loss": "token"},
        {"utterance_loss_reduction": "sum", "max_grad_norm": 1.0},
    ],
    ids=lambda changes: "-".join(changes) or "default",
)
def test_trains(corpus, tmp_path, changes):
    listing = manifest(corpus, tmp_path / "speech.json")
    folder = train(tmp_path / "run", [listing], **changes)
    lines = health(tmp_path / "run")
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert all(line["skipped_updates"] == 0 for line in lines)
    spread = lines[-1]["spread_utterance_target"]
    standard = changes.get("utterance_target") == "standard"
    assert (spread > 1e-3) if standard else (spread < 1e-6)
    assert (tmp_path / "run/health.png").stat().st_size > 10_000
    card = read_card(folder)
    assert card["updates"] == 4
    assert set(card["pretraining"]) == {corpus.name}
    frames = load_encoder(folder)(torch.randn(1, 8000))
    assert torch.isfinite(frames).all()


def test_learns(corpus, tmp_path):
    """The student does better than predicting nothing, where it starts."""
    listing = manifest(corpus, tmp_path / "speech.json")
    train(
        tmp_path / "run",
        [listing],
        updates=150,
        warmup_updates=10,
        lr=0.004,
        frontend_lr_factor=1.0,
        log_interval=5,
    )
    losses = [line["loss_frame"] for line in health(tmp_path / "run")]
    assert np.mean(losses[-4:]) < 0.85 * np.mean(losses[:2])


def test_initialise_from_encoder_and_from_run(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    first = train(tmp_path / "first", [listing])
    # At a learning rate of zero nothing moves: what comes out went in.
    for name, source in (("a", first), ("b", tmp_path / "first")):
        again = train(
            tmp_path / name,
            [listing],
            lr=0.0,
            seed=5,
            initialise_from=source,
        )
        assert weights_digest(load_encoder(again)) == weights_digest(
            load_encoder(first)
        )
        assert read_card(again)["initialised_from"] == str(source)
    a, b = health(tmp_path / "a")[0], health(tmp_path / "b")[0]
    assert a["teacher_distance"] == 0  # a copy of the student
    assert b["teacher_distance"] > 0  # the run's own teacher


def test_front_end_has_its_own_learning_rate(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    first = train(tmp_path / "first", [listing])
    again = train(
        tmp_path / "again",
        [listing],
        initialise_from=first,
        frontend_lr_factor=0.0,
    )
    before, after = load_encoder(first), load_encoder(again)
    for part, moved in (
        ("frontend", False),
        ("projection", False),
        ("context", True),
    ):
        old, new = (weights_digest(getattr(e, part)) for e in (before, after))
        assert (old != new) is moved, part


@pytest.mark.parametrize(
    "source, message",
    [
        ("nowhere", "no file or folder nowhere"),
        ("empty", "empty holds no weights"),
    ],
)
def test_wrong_start_is_named(corpus, tmp_path, source, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    listing = manifest(corpus, tmp_path / "speech.json")
    with pytest.raises(SystemExit, match=message):
        train(tmp_path / "run", [listing], initialise_from=source)


def test_a_checkpoint_of_another_kind_is_no_start(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    other = AtomicCheckpointer(tmp_path / "probe/save")
    other.save_checkpoint()
    with pytest.raises(SystemExit, match="holds no student and teacher"):
        source = tmp_path / "probe"
        train(tmp_path / "run", [listing], initialise_from=source)


def break_files(monkeypatch, broken):
    """Let files go bad between the check and the training."""
    read = PretrainingDataset.__getitem__

    def reads(self, key):
        if key[0] in broken:
            Path(self.utterances[key[0]].wav).write_bytes(b"RIFF")
        return read(self, key)

    monkeypatch.setattr(PretrainingDataset, "__getitem__", reads)


def test_a_file_gone_bad_is_skipped(corpus, tmp_path, monkeypatch):
    copy = shutil.copytree(corpus, tmp_path / "copy")
    listing = manifest(copy, tmp_path / "speech.json")
    break_files(monkeypatch, {3})
    train(
        tmp_path / "run", [listing], updates=12, max_bad_share=0.2
    )  # several epochs
    lines = health(tmp_path / "run")
    assert lines[-1]["update"] == 12
    assert lines[-1]["skipped_files"] >= 1
    assert "Skipped" in (tmp_path / "run/log.txt").read_text("utf-8")


def test_too_many_bad_files_stop_the_run(corpus, tmp_path, monkeypatch):
    copy = shutil.copytree(corpus, tmp_path / "copy")
    listing = manifest(copy, tmp_path / "speech.json")
    break_files(monkeypatch, set(range(8)))
    with pytest.raises(SystemExit, match="max_bad_share is 0.1"):
        train(tmp_path / "run", [listing], updates=12, max_bad_share=0.1)


def test_bad_files_only_make_no_update(corpus, tmp_path, monkeypatch):
    copy = shutil.copytree(corpus, tmp_path / "copy")
    listing = manifest(copy, tmp_path / "speech.json")
    break_files(monkeypatch, set(range(16)))
    with pytest.raises(SystemExit, match="no target"):
        train(
            tmp_path / "run",
            [listing],
            max_bad_share=99,
            nonfinite_patience=2,
        )
    assert not (tmp_path / "run/encoder").exists()


def test_collapse_stops_the_run(corpus, tmp_path):
    silent = tmp_path / "hum"
    silent.mkdir()
    time = np.arange(16000) / 16000
    for i in range(12):
        wav = 0.1 * np.sin(2 * np.pi * 100 * time)
        soundfile.write(silent / f"{i}.wav", wav, 16000)
    listing = manifest(silent, tmp_path / "speech.json")
    yaml = tmp_path / "strict.yaml"
    text = f"base: {YAML}\ncollapse: !new:speechbrain_e2v.pretraining.health."
    text += "CollapseThresholds\n    after_updates: 1\n    rank_conv: 30\n"
    yaml.write_text(text, "utf-8")
    argv = [str(yaml), f"--manifests=['{listing}']", "--noprogressbar"]
    argv += [f"--output_folder={tmp_path / 'run'}"]
    argv += [f"--{k}={v}" for k, v in SMALL.items()]
    with pytest.raises(SystemExit, match="rank_conv = .*below 30"):
        pretrain(argv)
    assert (tmp_path / "run/health.png").is_file()  # drawn all the same


def bad_wav(folder, kind):
    path = folder / f"{kind}.wav"
    if kind == "empty":
        soundfile.write(path, np.zeros(0), 16000)
    elif kind == "unreadable":
        path.write_bytes(b"this is no audio")
    elif kind == "not_finite":
        wav = np.full(16000, np.nan, dtype=np.float32)
        soundfile.write(path, wav, 16000, subtype="FLOAT")
    return path


@pytest.mark.parametrize("kind", ["empty", "unreadable", "not_finite"])
def test_bad_audio_is_named_before_training(corpus, tmp_path, kind):
    copy = shutil.copytree(corpus, tmp_path / "copy")
    listing = manifest(copy, tmp_path / "speech.json")
    first = sorted(copy.glob("*.wav"))[0]
    shutil.move(bad_wav(copy, kind), first)
    with pytest.raises(SystemExit, match=first.name):
        train(tmp_path / "run", [listing])
    assert not (tmp_path / "run/log.txt").exists()


def test_wrong_rate_is_named(corpus, tmp_path):
    copy = shutil.copytree(corpus, tmp_path / "copy")
    listing = manifest(copy, tmp_path / "speech.json")
    first = sorted(copy.glob("*.wav"))[0]
    soundfile.write(first, np.zeros(20000), 8000)
    with pytest.raises(SystemExit, match=f"{first.name} has 8000 Hz"):
        train(tmp_path / "run", [listing])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"learning_rate": 1}, "unknown option --learning_rate"),
        ({"min_seconds": 99}, "every utterance is shorter"),
        ({"top_k_layers": 9}, "top_k_layers is 9"),
        ({"max_grad_norm": -1}, "max_grad_norm is -1"),
        ({"utterance_loss_reduction": "max"}, "utterance_loss_reduction"),
        ({"grad_accumulation_factor": 50}, "one update needs 50"),
        ({"batch_seconds": 1}, "more than the 16000 of a batch"),
        ({"warmup_updates": 4}, "warmup_updates is 4, but the run has 4"),
        ({"ema_anneal_updates": "soon"}, "ema_anneal_updates is soon"),
        ({"clones": 0}, "clones is 0: give a whole number of 1 or more"),
        ({"log_interval": 2.5}, "log_interval is 2.5: give a whole number"),
        ({"updates": "many"}, "updates is 'many': give a whole number"),
        ({"noise_std": -1}, "noise_std is -1: give a number of 0 or more"),
        ({"valid_manifests": 7}, "valid_manifests is 7: give manifest files"),
        ({"lr": "fast"}, "lr_schedule: .*look at its numbers"),
    ],
)
def test_wrong_settings_are_one_line(corpus, tmp_path, changes, message):
    listing = manifest(corpus, tmp_path / "speech.json")
    with pytest.raises(SystemExit, match=message):
        train(tmp_path / "run", [listing], **changes)


def test_missing_and_repeated_manifests_are_named(corpus, tmp_path):
    with pytest.raises(SystemExit, match="nowhere.json"):
        train(tmp_path / "run", [tmp_path / "nowhere.json"])
    listing = manifest(corpus, tmp_path / "speech.json")
    with pytest.raises(SystemExit, match="ids must differ"):
        train(tmp_path / "run", [listing, listing])


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as leaving:
        pretrain(["--help"])
    assert leaving.value.code == 0
    assert "--manifests" in capsys.readouterr().out


def test_the_front_door_is_short_and_is_what_a_run_keeps(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    train(tmp_path / "run", [listing])
    text = (REPOSITORY / "train.py").read_text("utf-8")
    assert (tmp_path / "run/train.py").read_text("utf-8") == text
    assert len(text.splitlines()) <= 60
    steps = ["load_pretraining", "ddp_init_group", "prepare_data"]
    steps += ["create_experiment_directory", 'hparams["brain"]']
    steps += ["start_weights", "brain.fit", "export_encoder"]
    body = text[text.index("def main") :]
    places = [body.index(f"{step}(") for step in steps]
    assert places == sorted(places)


def other_speech(generated_corpus, tmp_path):
    """Files that the corpus of these tests does not hold."""
    folder = tmp_path / "held_out"
    folder.mkdir()
    for path in sorted(generated_corpus.glob("wav/*.wav"))[16:24]:
        shutil.copy(path, folder)
    return manifest(folder, tmp_path / "held_out.json")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"utterance_target": "standard", "pad_batches": True, "dropout": 0.1},
    ],
    ids=["plain", "standard"],
)
def test_validation_changes_no_bit_and_repeats(
    corpus, generated_corpus, tmp_path, changes
):
    listing = manifest(corpus, tmp_path / "speech.json")
    held_out = other_speech(generated_corpus, tmp_path)
    options = {"updates": 12, **changes}
    plain = train(tmp_path / "plain", [listing], **options)
    folder = tmp_path / "valid"
    valid = train(
        folder, [listing], **options, valid_manifests=f"['{held_out}']"
    )
    assert weights_digest(load_encoder(plain)) == weights_digest(
        load_encoder(valid)
    )
    for one, other in zip(
        health(tmp_path / "plain"), health(folder), strict=True
    ):
        for key in set(one) - {"speech_hours_per_hour"}:
            assert one[key] == other[key], key
    validated = [line for line in health(folder) if "valid_loss" in line]
    assert len(validated) >= 2 and validated[-1]["update"] == 12
    assert all(
        np.isfinite(
            [line[key] for key in line if key.startswith("valid_")]
        ).all()
        for line in validated
    )
    assert validated[-1]["valid_rank_target"] > 1
    assert read_card(valid)["pretraining"] == read_card(plain)["pretraining"]
    lines = (folder / "train_log.txt").read_text("utf-8").splitlines()
    assert len(lines) == len(validated)
    assert lines[-1].startswith(f"epoch: {len(lines)}, update: 12, lr: ")
    assert "train loss: " in lines[-1] and "valid loss: " in lines[-1]


def test_validation_of_the_same_weights_is_the_same(
    corpus, generated_corpus, tmp_path
):
    """Masks, crops and noise repeat: at a rate of zero nothing changes."""
    listing = manifest(corpus, tmp_path / "speech.json")
    train(
        tmp_path / "run",
        [listing],
        lr=0.0,
        updates=12,
        dropout=0.1,
        valid_manifests=f"['{other_speech(generated_corpus, tmp_path)}']",
    )
    losses = {
        (line["valid_loss"], line["valid_rank_prediction"])
        for line in health(tmp_path / "run")
        if "valid_loss" in line
    }
    assert len(losses) == 1


def test_validating_with_training_speech_is_refused(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    with pytest.raises(SystemExit, match="16 utterances are in manifests"):
        train(tmp_path / "run", [listing], valid_manifests=f"['{listing}']")


def two_updates(corpus, tmp_path, **changes):
    """A run stopped after two of its four updates, and its manifest."""
    listing = manifest(corpus, tmp_path / "speech.json")
    train(tmp_path / "run", [listing], optimizer_step_limit=2, **changes)
    return listing


def shown(folder):
    """Everything that a run wrote, but its log."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.txt"
    }


def test_a_changed_run_is_refused_and_left_alone(corpus, tmp_path):
    listing = two_updates(corpus, tmp_path)
    before = shown(tmp_path / "run")
    for changes, told in (
        ({"seed": 2, "lr": 0.5}, "seed 1 -> 2, lr 0.001 -> 0.5;"),
        ({"clones": 3}, "clones 2 -> 3;"),
        ({"batch_seconds": 5}, "batch_seconds 6 -> 5;"),
        ({"precision": "bf16"}, "precision fp32 -> bf16;"),
        ({"embed_dim": 96}, "embed_dim 48 -> 96; .* another output_folder$"),
        (
            {"embed_dim": 96, "allow_changed": "embed_dim"},
            "embed_dim 48 -> 96; .* another output_folder$",
        ),
    ):
        with pytest.raises(SystemExit, match=told):
            train(tmp_path / "run", [listing], **changes)
    fewer = shutil.copytree(corpus, tmp_path / "fewer")
    sorted(fewer.glob("*.wav"))[0].unlink()
    shorter = manifest(fewer, tmp_path / "fewer.json")
    told = r"manifests 16 utterances \(\w+\) -> 15 utterances \(\w+\), audio "
    told += r"16 files \(\w+\) -> 15 files \(\w+\);"
    with pytest.raises(SystemExit, match=told):
        train(tmp_path / "run", [shorter])
    assert shown(tmp_path / "run") == before


def test_what_changes_no_weight_may_change(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    whole = train(tmp_path / "whole", [listing])
    two_updates(corpus, tmp_path)
    moved = shutil.copytree(corpus, tmp_path / "moved" / corpus.name)
    again = train(
        tmp_path / "run",
        [manifest(moved, tmp_path / "moved.json")],
        num_workers=1,
        log_interval=2,
        ckpt_interval_steps=7,
        max_bad_share=0.5,
    )
    assert weights_digest(load_encoder(again)) == weights_digest(
        load_encoder(whole)
    )


def test_a_change_that_is_allowed_goes_on(corpus, tmp_path):
    listing = two_updates(corpus, tmp_path)
    other = {"lr": 0.002, "allow_changed": "lr"}
    train(tmp_path / "run", [listing], **other)
    rates = [line["lr"] for line in health(tmp_path / "run")]
    schedule = [cosine_with_warmup(n, 1, 1, 4) for n in range(4)]
    wanted = [0.001 * x for x in schedule[:2]]
    wanted += [0.002 * x for x in schedule[2:]]
    assert rates == pytest.approx(wanted)
    assert "lr 0.001 -> 0.002" in (tmp_path / "run/log.txt").read_text("utf-8")
    # From now on these are the run's settings.
    train(tmp_path / "run", [listing], lr=0.002)
    with pytest.raises(SystemExit, match="lr 0.002 -> 0.001;"):
        train(tmp_path / "run", [listing])


def test_a_resumed_run_does_not_look_for_its_start(corpus, tmp_path):
    """Its weights are in the checkpoint; the file may be gone by now."""
    listing = manifest(corpus, tmp_path / "speech.json")
    start = train(tmp_path / "start", [listing])
    options = {"initialise_from": start, "seed": 5}
    train(tmp_path / "run", [listing], optimizer_step_limit=2, **options)
    told = read_card(tmp_path / "run/encoder")["initialised_with"]
    digest = hashlib.sha256((start / "encoder.safetensors").read_bytes())
    assert told.endswith(f"SHA-256 {digest.hexdigest()}")
    shutil.rmtree(start)
    again = train(tmp_path / "run", [listing], **options)
    assert read_card(again)["updates"] == 4
    assert read_card(again)["initialised_with"] == told


def test_a_short_limit_keeps_the_schedule_of_all_updates(corpus, tmp_path):
    two_updates(corpus, tmp_path, updates=40, warmup_updates="10 %")
    lines = health(tmp_path / "run")
    assert [line["lr"] for line in lines] == [0, 0.001 / 4]
    # 100 % of 40 updates from 0.999 to 0.9999
    assert lines[1]["tau"] == pytest.approx(0.999 + 0.0009 * 2 / 40)


def test_one_run_a_folder(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    command = (
        "import sys; from speechbrain_e2v.files.lock import sole_writer\n"
        "with sole_writer(sys.argv[1]): print('held', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", command, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SystemExit, match="being written by another run"):
            train(tmp_path / "run", [listing])
        assert not (tmp_path / "run/log.txt").exists()
    finally:
        other.communicate("\n")
    train(tmp_path / "run", [listing])


def test_what_is_not_finite_ends_in_one_line(corpus, tmp_path):
    listing = manifest(corpus, tmp_path / "speech.json")
    with pytest.raises(SystemExit, match="of update 1 is nan") as stopped:
        train(tmp_path / "run", [listing], noise_std=".inf")
    assert "\n" not in str(stopped.value)
    assert "Traceback" in (tmp_path / "run/log.txt").read_text("utf-8")


DATA2VEC1 = {
    "embed_dim": 48,
    "num_heads": 4,
    "depth": 2,
    "top_k_layers": 1,
    "conv_channels": 16,
    "clones": 2,
    "batch_seconds": 6,
    "max_seconds": 1.5,
    "num_workers": 0,
    "updates": 4,
    "warmup_updates": 1,
    "log_interval": 1,
    "ckpt_interval_steps": 2,
    "grad_accumulation_factor": 1,
    "precision": "fp32",
    "device": "cpu",
}


def train_data2vec1(output, listing, kind="", **changes):
    yaml = YAML.with_name(f"pretrain_data2vec1{kind}.yaml")
    argv = [str(yaml), f"--manifests={[str(listing)]}", "--noprogressbar"]
    argv += [f"--output_folder={output}"]
    argv += [f"--{k}={v}" for k, v in {**DATA2VEC1, **changes}.items()]
    return pretrain(argv)


@pytest.fixture(scope="module")
def of_data2vec1(corpus, tmp_path_factory):
    """Folder of a run of each yaml, the second from the first's encoder."""
    folder = tmp_path_factory.mktemp("data2vec1")
    listing = manifest(corpus, folder / "speech.json")
    first = train_data2vec1(folder / "run_released", listing, "_released")
    train_data2vec1(folder / "run", listing, initialise_from=first)
    return folder


@pytest.mark.parametrize(("kind", "tokens"), [("", 10), ("_released", 0)])
def test_data2vec1_trains(of_data2vec1, kind, tokens):
    run = of_data2vec1 / f"run{kind}"
    lines = health(run)
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    only_frames = [line["loss"] == line["loss_frame"] for line in lines]
    assert all(only_frames) is (tokens == 0)
    encoder = load_encoder(run / "encoder")
    assert isinstance(encoder, Data2vec1Encoder)
    assert encoder.config["num_extra_tokens"] == tokens
    start = read_card(run / "encoder")["initialised_with"]
    fresh = "fresh extra tokens (it has none); fresh decoder; fresh mask"
    assert (fresh in start) is (tokens == 10)


def test_data2vec1_goes_on_bit_exact(of_data2vec1, tmp_path):
    """Stopped at update 2 and resumed: dropout and layer drop repeat."""
    for limit in (2, 4):
        train_data2vec1(
            tmp_path / "run",
            of_data2vec1 / "speech.json",
            initialise_from=of_data2vec1 / "run_released/encoder",
            optimizer_step_limit=limit,
        )
    for name in ("encoder.safetensors", "encoder.yaml"):
        again = (tmp_path / "run/encoder" / name).read_bytes()
        whole = (of_data2vec1 / "run/encoder" / name).read_bytes()
        assert again == whole, name
    ours, theirs = (
        AtomicCheckpointer(run / "save").find_whole().path
        for run in (tmp_path / "run", of_data2vec1 / "run")
    )
    for name in ("student.ckpt", "teacher.ckpt"):
        one, other = (
            torch.load(path / name, weights_only=True)
            for path in (ours, theirs)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name


def test_what_data2vec1_learned_is_used_everywhere(of_data2vec1, tmp_path):
    """Features, a probe's upstream, a classifier folder, a new start."""
    source = of_data2vec1 / "run"
    encoder = load_encoder(source / "encoder")
    wav = torch.randn(9000)
    with torch.no_grad():
        expected = encoder(normalise_waveform(wav[None]))[0]
    model = Emotion2vec.from_pretrained(source, device="cpu")
    found = model.extract(wav, 16000, "frame").values
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    upstream = trained_encoder(source / "encoder")
    assert torch.equal(upstream.extract([wav])[0], found)
    assert random_encoder(source).extract([wav])[0].shape == found.shape
    output = tmp_path / "features"
    clip = tmp_path / "a.wav"
    soundfile.write(clip, wav.numpy() * 0.1, 16000)
    options = ["--encoder", str(source), "-o", str(output)]
    assert e2v(["extract", str(clip), *options]) == 0
    classifier = TrainedClassifier(
        UtteranceEmbedding(encoder),
        EmbeddingClassifier(48, 2),
        (ClassLabel("a", "a", "a"), ClassLabel("b", "b", "b")),
        {"encoder_card": read_card(source / "encoder")},
    )
    folder = write_classifier(tmp_path / "classifier", classifier)
    again = read_classifier(folder)
    assert weights_digest(again.embedding) == weights_digest(
        classifier.embedding
    )
    told = train_data2vec1(
        tmp_path / "again",
        of_data2vec1 / "speech.json",
        initialise_from=source / "encoder",
        lr=0.0,
    )
    assert weights_digest(load_encoder(told)) == weights_digest(encoder)
    card = read_card(told)
    assert "fresh decoder; fresh mask embedding" in card["initialised_with"]
    with pytest.raises(SystemExit, match="is a data2vec1 encoder, but this"):
        train(
            tmp_path / "other",
            [of_data2vec1 / "speech.json"],
            initialise_from=source / "encoder",
        )


def test_interrupted_while_importing_is_one_line(tmp_path):
    """Ctrl-C in the seconds before anything of the run begins."""
    package = tmp_path / "speechbrain"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
        "import time\ntime.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py")],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130
    assert done.stderr == "interrupted\n"
