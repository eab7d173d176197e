"""What counts as the same run."""

import pytest

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.digest import write_digests
from speechbrain_e2v.files.documents import BadDocument
from speechbrain_e2v.pretraining.settings import (
    START,
    RunSettings,
    SettingsChanged,
    check_resumable,
    run_settings,
)
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer
from speechbrain_e2v.training.experiment import load_experiment

TEXT = """
seed: 1
lr: 0.001
betas: (0.9, 0.98)
num_workers: 0
optimizer_step_limit: 10
grad_accumulation_factor: 2
max_grad_norm: .inf
draw: !name:speechbrain_e2v.pretraining.masking.block_masks
    mask_prob: 0.5
    mask_length: 5
opt_class: !name:torch.optim.AdamW
    lr: !ref <lr>
    betas: !ref <betas>
    weight_decay: 0.01
"""


@pytest.fixture
def speech(tmp_path):
    """What the run hears: one utterance, in a file."""

    def utterance(folder="here", content=b"sound", num_samples=9):
        path = tmp_path / folder / "a.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return Utterance(
            "a", str(path), num_samples=num_samples, sample_rate=8000
        )

    return utterance


@pytest.fixture
def settings(tmp_path, speech):
    def read(*options, text=TEXT, heard=None):
        heard = [speech()] if heard is None else heard
        file = tmp_path / "x.yaml"
        file.write_text(text, "utf-8")
        known = ("seed", "num_workers", "optimizer_step_limit", "draw")
        known += ("opt_class", "grad_accumulation_factor", "max_grad_norm")
        experiment = load_experiment([str(file), *options], known)
        return run_settings(experiment, heard)

    return read


@pytest.fixture
def resume(tmp_path, settings):
    """Go on from a checkpoint of the settings of TEXT."""
    checkpointer = AtomicCheckpointer(tmp_path / "save")
    checkpointer.add_recoverable("settings", settings())
    checkpointer.save_checkpoint()

    def go_on(new, allowed=None):
        hparams = {"checkpointer": checkpointer, "modules": {}}
        check_resumable(new, hparams | {"allow_changed": allowed})
        return new

    return go_on


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--lr", "1e-3"),
        ("--num_workers", "4"),
        ("--optimizer_step_limit", "99"),
        ("--device", "cpu"),
        ("--ckpt_interval_minutes", "5"),
        ("--grad_accumulation_factor", "2"),
    ],
    ids=str,
)
def test_the_same_run_goes_on(settings, resume, options):
    assert START in resume(settings(*options))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--seed", "2"), "settings: seed 1 -> 2; give"),
        (("--lr", "0.002"), "settings: lr 0.001 -> 0.002; give"),
        (("--precision", "bf16"), "precision fp32 -> bf16"),
        (("--max_grad_norm", "1.0"), "max_grad_norm Infinity -> 1"),
        (
            ("--seed=3", "--lr=1", "--grad_accumulation_factor=4"),
            "seed 1 -> 3, lr 0.001 -> 1, grad_accumulation_factor 2 -> 4; .*"
            "--allow_changed seed,lr,grad_accumulation_factor to go on",
        ),
    ],
    ids=str,
)
def test_other_settings_are_named_with_old_and_new(
    settings, resume, options, told
):
    with pytest.raises(SettingsChanged, match=told):
        resume(settings(*options))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("block_masks", "span_masks", "draw .*block_masks -> .*span_masks"),
        ("mask_length: 5", "mask_length: 7", "draw.mask_length 5 -> 7"),
        ("    mask_prob: 0.5\n", "", "draw.mask_prob 0.5 -> absent"),
        ("(0.9, 0.98)", "(0.9, 0.9)", r"betas \(0.9, 0.98\) -> \(0.9, 0.9\);"),
    ],
)
def test_objects_of_the_yaml_count_too(settings, resume, old, new, told):
    assert old in TEXT
    with pytest.raises(SettingsChanged, match=told):
        resume(settings(text=TEXT.replace(old, new)))


def test_speech_counts_by_content_not_by_place(settings, resume, speech):
    resume(settings(heard=[speech("moved")]))
    longer = speech("longer", num_samples=10)
    for other in ([longer], [speech(), longer], []):
        with pytest.raises(SettingsChanged, match="manifests 1 utterances"):
            resume(settings(heard=other))


def test_another_sound_of_the_same_length_is_noticed(settings, resume, speech):
    other = settings(heard=[speech(content=b"noise")])
    with pytest.raises(SettingsChanged, match="settings: audio 1 files .*;"):
        resume(other)
    resume(other, "audio")


def test_a_checkpoint_that_kept_no_content_goes_on(settings, tmp_path):
    """Of an early version."""
    kept = settings()
    del kept["audio"]
    checkpointer = AtomicCheckpointer(tmp_path / "early")
    checkpointer.add_recoverable("settings", kept)
    checkpointer.save_checkpoint()
    new = settings()
    check_resumable(new, {"checkpointer": checkpointer, "modules": {}})
    assert new["audio"].startswith("1 files (")


def test_what_is_allowed_goes_on(settings, resume):
    other = settings("--lr", "0.002", "--seed", "2")
    resume(other, "lr,seed")
    resume(other, ["lr", "seed"])
    with pytest.raises(SettingsChanged, match="settings: seed 1 -> 2"):
        resume(other, "lr")
    with pytest.raises(ValueError, match="names lrr, which is no setting"):
        resume(other, "lrr")


def test_another_optimizer_cannot_be_allowed(settings, resume):
    other = settings(text=TEXT.replace("AdamW", "SGD"))
    with pytest.raises(SettingsChanged, match="AdamW -> torch.optim.SGD") as e:
        resume(other, "opt_class")
    assert "--allow_changed" not in str(e.value)


def test_a_checkpoint_without_settings_goes_on_with_a_word(
    settings, tmp_path, caplog
):
    checkpointer = AtomicCheckpointer(tmp_path / "old")
    checkpointer.save_checkpoint()
    new = settings()
    check_resumable(new, {"checkpointer": checkpointer, "modules": {}})
    assert new[START] is None
    assert "cannot be compared" in caplog.text


def test_damaged_settings_are_named(settings, tmp_path):
    checkpointer = AtomicCheckpointer(tmp_path / "bad")
    checkpointer.add_recoverable("settings", RunSettings(seed=1))
    folder = checkpointer.save_checkpoint().path
    (folder / "settings.ckpt").write_text('{"seed": [1]}', "utf-8")
    write_digests(folder)  # whole, but not what it should be
    with pytest.raises(BadDocument, match="settings.ckpt"):
        check_resumable(
            settings(), {"checkpointer": checkpointer, "modules": {}}
        )
