"""Fine-tuning by two processes is that by one; a killed run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = REPOSITORY / "recipes" / "Synthetic"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    return save_encoder(tmp_path_factory.mktemp("e") / "encoder", encoder, {})


def command(corpus, encoder, output, *options, ranks=1):
    words = [sys.executable]
    if ranks > 1:
        words += ["-m", "torch.distributed.run", "--standalone"]
        words += [f"--nproc-per-node={ranks}"]
        options += ("--distributed_backend", "gloo")
    return [
        *words, "train.py", "../../hparams/probes/finetune_augmented.yaml",
        *("--data_folder", str(corpus), "--encoder", str(encoder)),
        *("--output_folder", str(output), "--protocol", "speaker_kfold"),
        *("--n_folds", "3", "--number_of_epochs", "2", "--batch_size", "8"),
        *("--encoder_lr", "0.001", "--ckpt_interval_steps", "1"),
        *("--ckpt_interval_minutes", "0"),
        *("--device", "cpu", "--noprogressbar", *options),
    ]  # fmt: skip


def start(words):
    return subprocess.Popen(
        words,
        cwd=RECIPE,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(words):
    process = start(words)
    told, _ = process.communicate()
    assert process.returncode == 0, told[-4000:]


def folds(output):
    found = []
    for path in sorted(output.glob("folds/*/*/result.json")):
        result = json.loads(path.read_text("utf-8"))
        tuned = load_file(path.with_name("encoder.safetensors"))
        found.append((result, tuned))
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def alone(generated_corpus, encoder, tmp_path_factory):
    output = tmp_path_factory.mktemp("alone") / "run"
    two = ("--grad_accumulation_factor", "2")
    finish(command(generated_corpus, encoder, output, *two))
    return output


def test_two_ranks_equal_one(generated_corpus, encoder, alone, tmp_path):
    """Dropout, augmentation, mixing and all."""
    output = tmp_path / "run"
    finish(command(generated_corpus, encoder, output, ranks=2))
    for (one, ours), (two, theirs) in zip(
        folds(alone), folds(output), strict=True
    ):
        assert np.allclose(one["posteriors"], two["posteriors"], atol=1e-5)
        for a, b in zip(one["history"], two["history"], strict=True):
            assert b["updates"] == a["updates"]
            for name in ("train_loss", "valid_loss"):
                assert b[name] == pytest.approx(a[name], rel=1e-4)
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(theirs[name], value, atol=1e-5, rtol=0)


def test_killed_by_the_system(generated_corpus, encoder, alone, tmp_path):
    """When its first checkpoint is there, wherever training is by then."""
    output = tmp_path / "run"
    two = ("--grad_accumulation_factor", "2")
    words = command(generated_corpus, encoder, output, *two)
    process = start(words)
    while process.poll() is None:
        if list(output.glob("save/*/CKPT*")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (output / "results.json").is_file()
    finish(words)
    for (one, ours), (again, theirs) in zip(
        folds(alone), folds(output), strict=True
    ):
        assert one["posteriors"] == again["posteriors"]
        assert one["history"] == again["history"]
        for name, value in ours.items():
            assert torch.equal(theirs[name], value)
