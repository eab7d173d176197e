"""A killed run ends as the uninterrupted one; two ranks equal one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_e2v.lobes.wavlm import WavLMEncoder
from speechbrain_e2v.published.encoder_folder import load_encoder, save_encoder
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SMALL = {
    "embed_dim": 48,
    "prenet_depth": 1,
    "depth": 2,
    "top_k_layers": 2,
    "conv_channels": 16,
    "decoder_channels": 16,
    "clones": 2,
    "batch_seconds": 8,
    "max_seconds": 1.5,
    "updates": 14,
    "warmup_updates": 2,
    "log_interval": 1,
    "ckpt_interval_steps": 4,
    "device": "cpu",
    # Dropout and layer drop must be repeated exactly, too.
    "dropout": 0.1,
    "layerdrop": 0.2,
}


@pytest.fixture(scope="module")
def manifest(generated_corpus, tmp_path_factory):
    from speechbrain_e2v.cli import main

    path = tmp_path_factory.mktemp("manifest") / "speech.json"
    assert main(["manifest", str(generated_corpus), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def held_out(generated_corpus, tmp_path_factory):
    """Other names for six files: what is validated with."""
    from speechbrain_e2v.cli import main

    folder = tmp_path_factory.mktemp("held_out")
    for path in sorted(generated_corpus.glob("wav/*.wav"))[:6]:
        shutil.copy(path, folder / f"held_out_{path.name}")
    path = folder / "held_out.json"
    assert main(["manifest", str(folder), "-o", str(path)]) == 0
    return path


VESPER = {
    "embed_dim": 32,
    "conv_channels": 16,
    "depth": 2,
    "pos_conv_width": 16,
    "teacher_layers": "[2, 4]",
    "crop_seconds": 1.0,
    "max_seconds": 1.5,
    "batch_seconds": 8,
    "updates": 4,
    "dropout": 0.1,
    "log_interval": 1,
    "device": "cpu",
}


def run(
    folder,
    manifest,
    *,
    doom=None,
    ranks=1,
    yaml="pretrain_tiny.yaml",
    small=SMALL,
    **changes,
):
    options = {**small, **changes}
    command = [sys.executable]
    if ranks > 1:
        command += ["-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={ranks}"]
        options["distributed_backend"] = "gloo"
    if doom:
        command += [str(HERE / "doomed_run.py"), doom]
    else:
        command += [str(REPOSITORY / "train.py")]
    command += [f"hparams/{yaml}", f"--manifests=['{manifest}']"]
    command += [f"--output_folder={folder}", "--noprogressbar"]
    command += [f"--{key}={value}" for key, value in options.items()]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )


def finish(folder, manifest, **options):
    done = run(folder, manifest, **options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def doomed(folder, manifest, moment):
    done = run(folder, manifest, doom=moment)
    assert done.returncode == -signal.SIGKILL, done.stderr[-4000:]


def health(folder):
    text = (folder / "health.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def checkpoint(folder):
    newest = AtomicCheckpointer(folder / "save").find_whole().path
    return {
        name: torch.load(newest / f"{name}.ckpt", weights_only=True)
        for name in ("student", "teacher", "optimizer")
    }


def assert_identical(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_identical(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_identical(a, b)
    elif torch.is_tensor(one):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.fixture(scope="module")
def uninterrupted(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(folder, manifest)
    return folder


def test_killed_thrice_ends_bit_exact(manifest, uninterrupted, tmp_path):
    """Killed while saving, then in a later epoch between two checkpoints."""
    doomed(tmp_path, manifest, "saving:1")  # update 4: nothing to resume from
    assert not list((tmp_path / "save").glob("CKPT*"))
    doomed(tmp_path, manifest, "saving:2")  # update 8; resumes from 4
    doomed(tmp_path, manifest, "update:11")  # between 8 and 12
    log = (tmp_path / "log.txt").read_text("utf-8")
    assert "epoch 2" in log  # the last kill was in epoch 2 or later
    finish(tmp_path, manifest)
    assert_identical(checkpoint(tmp_path), checkpoint(uninterrupted))
    ours, theirs = health(tmp_path), health(uninterrupted)
    assert [line["update"] for line in ours] == list(range(1, 15))
    for one, other in zip(ours, theirs, strict=True):
        for key in ("loss", "grad_norm", "lr", "tau", "rank_target"):
            assert one[key] == other[key]
    again = (tmp_path / "encoder/encoder.safetensors").read_bytes()
    assert again == (uninterrupted / "encoder/encoder.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143)]
)
def test_a_run_that_is_asked_to_stop(manifest, tmp_path, sent, status):
    """One line at most, a picture, no lock left, and the run can go on."""
    done = run(tmp_path, manifest, doom=f"{sent}:5")
    assert done.returncode == status, done.stderr[-4000:]
    assert "Traceback" not in done.stderr
    told = "interrupted" if sent == "SIGINT" else "ended by SIGTERM"
    assert f"{told} at update 5; the same command goes on" in done.stderr
    assert (tmp_path / "health.png").is_file()
    assert not list(tmp_path.glob(".writer.lock"))
    assert len(list((tmp_path / "save").glob("CKPT*"))) == 1


def test_a_finished_run_does_nothing_more(manifest, uninterrupted):
    before = checkpoint(uninterrupted)
    lines = health(uninterrupted)
    finish(uninterrupted, manifest)
    assert_identical(checkpoint(uninterrupted), before)
    assert health(uninterrupted) == lines


def test_two_ranks_equal_one_with_accumulation(manifest, held_out, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    options = {"updates": 6, "valid_manifests": f"['{held_out}']"}
    finish(one, manifest, grad_accumulation_factor=2, **options)
    finish(two, manifest, ranks=2, **options)
    for a, b in zip(health(one), health(two), strict=True):
        for key in ("loss", "speech_hours_per_update", "valid_loss"):
            assert (key in a) is (key in b)
            if key in a:
                assert b[key] == pytest.approx(a[key], rel=1e-5)
    assert "valid_loss" in health(two)[-1]
    logs = [(run / "train_log.txt").read_text("utf-8") for run in (one, two)]
    assert len(logs[0].splitlines()) == len(logs[1].splitlines()) >= 1
    for name in ("student", "teacher"):
        ours, theirs = checkpoint(one)[name], checkpoint(two)[name]
        for key, value in ours.items():
            torch.testing.assert_close(theirs[key], value, atol=1e-5, rtol=0)


def test_vesper_on_two_ranks(manifest, tmp_path):
    """As one with accumulation; what is masked and dropped out, too."""
    torch.manual_seed(3)
    encoder = WavLMEncoder(
        embed_dim=32, num_heads=4, depth=4, conv_channels=16, pos_conv_width=16
    )
    teacher = save_encoder(tmp_path / "teacher", encoder, {})
    options = {"yaml": "vesper_tiny.yaml", "small": VESPER, "teacher": teacher}
    one, two = tmp_path / "one", tmp_path / "two"
    finish(one, manifest, grad_accumulation_factor=2, **options)
    finish(two, manifest, ranks=2, **options)
    for a, b in zip(health(one), health(two), strict=True):
        for key in ("loss", "loss_low", "loss_high", "loss_cross"):
            assert b[key] == pytest.approx(a[key], rel=1e-5)
    ours, theirs = (load_encoder(run / "encoder") for run in (one, two))
    for name, value in ours.state_dict().items():
        other = theirs.state_dict()[name]
        torch.testing.assert_close(other, value, atol=1e-5, rtol=0)
