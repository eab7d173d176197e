"""Vesper's pre-training through its command line, and what it leaves."""

import json
import shutil

import numpy as np
import pytest
import torch

from speechbrain_e2v.downstream.upstreams.encoder import (
    random_encoder,
    trained_encoder,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.wavlm import WavLMEncoder
from speechbrain_e2v.published.encoder_folder import (
    load_encoder,
    read_card,
    save_encoder,
    weights_digest,
)
from tests.recipes.test_pretrain import REPOSITORY, health, manifest, pretrain

SIZES = {"embed_dim": 32, "num_heads": 4, "conv_channels": 16}
SMALL = {
    **SIZES,
    "depth": 2,
    "pos_conv_width": 16,
    "teacher_layers": "[2, 4]",
    "crop_seconds": 1.2,
    "max_seconds": 1.8,
    "batch_seconds": 6,
    "updates": 4,
    "warmup_updates": 1,
    "dropout": 0.1,
    "log_interval": 1,
    "ckpt_interval_steps": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def speech(generated_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    for path in sorted(generated_corpus.glob("wav/*.wav"))[:16]:
        shutil.copy(path, folder)
    return manifest(folder, tmp_path_factory.mktemp("lists") / "speech.json")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Four blocks of the student's kind, at random."""
    torch.manual_seed(3)
    encoder = WavLMEncoder(**SIZES, depth=4, pos_conv_width=16)
    return save_encoder(tmp_path_factory.mktemp("teacher"), encoder, {})


@pytest.fixture(scope="module")
def run(speech, teacher):
    def run(output, **changes):
        options = {"teacher": teacher, **SMALL, **changes}
        argv = [str(REPOSITORY / "hparams/vesper_tiny.yaml"), "--noprogressbar"]
        argv += [f"--manifests={[str(speech)]}", f"--output_folder={output}"]
        return pretrain(argv + [f"--{k}={v}" for k, v in options.items()])

    return run


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """The output folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


def encoder_bytes(folder):
    return (folder / "encoder/encoder.safetensors").read_bytes()


def test_log_card_and_encoder(whole, teacher):
    lines = health(whole)
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        weighed = line["loss_low"] + 0.1 * line["loss_high"]
        assert line["loss"] == pytest.approx(weighed + line["loss_cross"])
        for name in ("middle", "encoder", "prediction", "target_high"):
            assert line[f"rank_{name}"] >= 1
        assert 0 < line["masked_share"] < 1 >= line["masked_share_large"] > 0
    encoder = load_encoder(whole / "encoder")
    assert isinstance(encoder, WavLMEncoder) and encoder.num_layers == 3
    told = read_card(whole / "encoder")["initialised_with"]
    assert told.startswith("layers 0, 2 of ") and "SHA-256" in told
    # The convolutions are the teacher's still, the rest is not.
    old = load_encoder(teacher)
    assert weights_digest(encoder.frontend) == weights_digest(old.frontend)
    assert weights_digest(encoder.projection) != weights_digest(old.projection)


def test_resumed_it_ends_with_the_same_bits(run, whole, tmp_path):
    run(tmp_path, optimizer_step_limit=2)
    run(tmp_path)
    assert encoder_bytes(tmp_path) == encoder_bytes(whole)
    with pytest.raises(SystemExit, match="mask_kind energy -> random"):
        run(tmp_path, mask_kind="random")


def test_another_teacher_is_another_run(run, whole, teacher, tmp_path):
    """It counts by its content, not by where it lies."""
    shutil.copytree(whole, tmp_path / "run")
    moved = shutil.copytree(teacher, tmp_path / "moved")
    start = {"initialise_from": teacher}
    run(tmp_path / "run", teacher=moved, **start)
    torch.manual_seed(4)
    encoder = WavLMEncoder(**SIZES, depth=4, pos_conv_width=16)
    other = save_encoder(tmp_path / "other", encoder, {})
    with pytest.raises(SystemExit, match="teacher weights of SHA-256"):
        run(tmp_path / "run", teacher=other, **start)


def test_cached_targets_change_nothing(run, whole, tmp_path):
    cache = tmp_path / "cache"
    run(tmp_path / "first", target_cache=cache)
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.*")}
    assert files
    run(tmp_path / "again", target_cache=cache)
    assert files == {p: p.stat().st_mtime_ns for p in cache.rglob("*.*")}
    for name in ("first", "again"):
        for ours, theirs in zip(
            health(tmp_path / name), health(whole), strict=True
        ):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    next(iter(files)).write_bytes(b"half a file")
    with pytest.raises(SystemExit, match="not a whole safetensors file"):
        run(tmp_path / "broken", target_cache=cache)


@pytest.mark.parametrize(
    "changes",
    [
        {"mask_kind": "random", "grad_accumulation_factor": 2},
        {"reference_quirks": True, "init_style": "random"},
        {"max_seconds": 1.2, "init_style": "uniform_average"},
        {"precision": "bf16", "crop_seconds": 0.9},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_ablations_train(run, whole, tmp_path, changes):
    run(tmp_path, **changes)
    lines = health(tmp_path)
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert lines[0]["loss"] != health(whole)[0]["loss"]


def test_validation_repeats_its_masks(run, speech, tmp_path):
    rows = json.loads(speech.read_text())
    held = {f"held_{name}": row for name, row in list(rows.items())[:4]}
    other = tmp_path / "held.json"
    other.write_text(json.dumps(held))
    meta = speech.with_suffix(".meta.json")
    shutil.copy(meta, tmp_path / "held.meta.json")
    changes = {"valid_manifests": f"['{other}']", "lr": 0.0, "updates": 8}
    run(tmp_path / "run", dropout=0.0, **changes)
    losses = [
        line["valid_loss"]
        for line in health(tmp_path / "run")
        if "valid_loss" in line
    ]
    assert len(losses) >= 2
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-6)


def test_a_teacher_of_another_kind_gives_its_front_end(run, tmp_path):
    torch.manual_seed(5)
    encoder = Emotion2vecEncoder(
        **SIZES, prenet_depth=1, depth=2, pos_conv_groups=4
    )
    source = save_encoder(tmp_path / "teacher", encoder, {})
    changes = {"teacher": source, "teacher_layers": "[0, 2]"}
    folder = run(tmp_path / "run", **changes)
    told = read_card(folder)["initialised_with"]
    assert told.startswith(f"front end of {source} (emotion2vec), the blocks")
    found = load_encoder(folder).frontend
    assert weights_digest(found) == weights_digest(encoder.frontend)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher_dim": 48}, "teacher_dim is 48, but .* is 32 wide"),
        ({"teacher_layers": "[2]"}, "teacher_layers is .2.: give two"),
        ({"teacher_layers": "[2, 9]"}, "layer is 9, but the encoder has 5"),
        ({"depth": 3}, "depth is 3: Vesper has two halves"),
        ({"mask_kind": "loud"}, "mask_kind is 'loud'"),
        ({"init_style": "nearest"}, "init_style is 'nearest'"),
        ({"teacher": "nowhere"}, "no file or folder nowhere"),
        ({"crop_seconds": 0}, "crop_seconds is 0: give a number"),
    ],
)
def test_wrong_settings_are_one_line(run, tmp_path, changes, message):
    with pytest.raises(SystemExit, match=message):
        run(tmp_path, **changes)


def test_its_encoder_is_an_upstream(whole):
    """All its states, one more than blocks, whatever a clip is batched with."""
    upstream = trained_encoder(whole / "encoder", "weighted")
    assert upstream.description["layers"] == 3
    clips = [torch.randn(9000), torch.randn(16000)]
    together = upstream.extract(clips)
    assert together[0].shape == (27, 3 * 32)
    alone = upstream.extract(clips[:1])[0]
    torch.testing.assert_close(together[0], alone, atol=1e-5, rtol=0)
    floor = random_encoder(whole / "encoder", layer="weighted")
    assert floor.extract(clips)[0].shape == together[0].shape
