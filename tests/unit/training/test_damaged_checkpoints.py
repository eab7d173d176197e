"""No damaged checkpoint is loaded without a word; the one before it is."""

import logging
import shutil

import pytest
import torch
from unit.training.toy_brain import loader, toy_brain, weights

from speechbrain_e2v.files.digest import DIGESTS
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

OPTIONS = {"ckpt_interval_steps": 2, "optimizer_step_limit": 6}


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def run(folder, **options):
    brain = toy_brain(folder, **{**OPTIONS, **options})
    brain.fit(brain.hparams.epochs, loader())
    return brain


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the checkpoints of updates 4 and 6, and the weights."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, weights(run(folder))


def checkpoints(folder):
    return sorted(folder.glob("CKPT*"))


def files():
    names = ["brain", "dataloader-TRAIN", "epochs", "optimizer", "student"]
    return [*(f"{name}.ckpt" for name in names), "CKPT.yaml", DIGESTS]


@pytest.mark.parametrize("damage", [flip, cut, empty, remove])
@pytest.mark.parametrize("name", files())
def test_the_one_before_is_used_and_ends_bit_exact(
    finished, tmp_path, caplog, name, damage
):
    folder, expected = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    older, newest = checkpoints(tmp_path)
    damage(newest / name)
    with caplog.at_level(logging.WARNING):
        resumed = run(tmp_path)
    if (name, damage) == (DIGESTS, remove):  # as older versions wrote it
        assert f"{newest} has no {DIGESTS}: not checked" in caplog.text
        assert resumed.updates == []
    else:
        assert f"{newest} is damaged and left out: " in caplog.text
        assert name in caplog.text
        assert f"Going on from {older}" in caplog.text
        assert [number for number, _ in resumed.updates] == [5, 6]
        assert newest in checkpoints(tmp_path)  # to be looked at
    assert torch.equal(weights(resumed), expected)


def test_every_file_is_covered(finished):
    for path in checkpoints(finished[0]):
        names = {file.name for file in path.iterdir()}
        assert names == {*files(), "teacher.ckpt"}


def test_nothing_whole_is_no_new_beginning(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    older, newest = checkpoints(tmp_path)
    flip(older / "student.ckpt")
    remove(newest / "CKPT.yaml")
    with pytest.raises(ValueError) as caught:
        run(tmp_path)
    message = str(caught.value)
    assert f"{newest.name}: CKPT.yaml" in message
    assert f"{older.name}: student.ckpt does not match" in message
    assert "Restore one from a copy, or remove them" in message


def test_a_checkpoint_asked_for_by_name(finished):
    checkpointer = AtomicCheckpointer(
        finished[0], {"student": toy_brain().hparams.student}
    )
    chosen = checkpointer.find_checkpoint()
    student = chosen.path / "student.ckpt"
    before = student.read_bytes()
    flip(student)
    try:
        with pytest.raises(ValueError, match="student.ckpt does not match"):
            checkpointer.load_checkpoint(chosen)
    finally:
        student.write_bytes(before)
    checkpointer.load_checkpoint(chosen)


def test_the_best_of_the_rest(tmp_path):
    model = torch.nn.Linear(1, 1)
    checkpointer = AtomicCheckpointer(tmp_path, {"model": model})
    for score in (1, 3, 2):
        torch.nn.init.constant_(model.weight, score)
        checkpointer.save_checkpoint({"score": score}, name=f"of{score}")
    flip(tmp_path / "CKPT+of3" / "model.ckpt")
    again = AtomicCheckpointer(tmp_path, {"model": model})
    assert again.recover_if_possible(max_key="score").meta["score"] == 2
    assert model.weight.item() == 2
    # Saved anew under its name, it counts again.
    again.save_checkpoint({"score": 3}, name="of3")
    assert again.recover_if_possible(max_key="score").meta["score"] == 3
