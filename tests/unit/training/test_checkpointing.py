"""A kill at any moment of saving or deleting leaves whole checkpoints."""

import multiprocessing
import os
import signal

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer
from unit.training.toy_brain import toy_brain

from speechbrain_e2v.training import checkpointing
from speechbrain_e2v.training.checkpointing import (
    UNFINISHED,
    AtomicCheckpointer,
)


class Deadly:
    """A recoverable that kills its process, or breaks, while being saved."""

    def __init__(self, deed):
        self.deed = deed

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("half")
            file.flush()
            self.deed()

    def load(self, path, end_of_epoch):
        assert path.read_text() == "whole"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def raise_error():
    raise OSError("No space left on device")


def checkpointer_of(kind, folder, value, deadly=None):
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, value)
    checkpointer = kind(folder, {"model": model})
    if deadly is not None:
        checkpointer.add_recoverable("deadly", deadly, Deadly.load, Deadly.save)
    return checkpointer


def in_a_process(function):
    """Run in a fork, so that it may be killed; its exit code."""
    process = multiprocessing.get_context("fork").Process(target=function)
    process.start()
    process.join(60)
    return process.exitcode


def recovered(kind, folder):
    checkpointer = checkpointer_of(kind, folder, -1.0)
    checkpointer.recover_if_possible()
    return checkpointer.recoverables["model"].weight.item()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", [None, "best"])
def test_killed_while_saving(tmp_path, name):
    def save_and_die(kind):
        return lambda: checkpointer_of(
            kind, tmp_path / kind.__name__, 2.0, Deadly(die)
        ).save_checkpoint(name=name)

    for kind in (Checkpointer, AtomicCheckpointer):
        checkpointer_of(kind, tmp_path / kind.__name__, 1.0).save_checkpoint()
        assert in_a_process(save_and_die(kind)) == -signal.SIGKILL

    stock, atomic = tmp_path / "Checkpointer", tmp_path / "AtomicCheckpointer"
    # The stock class takes the torn one for the newest: its other files would
    # be half written or missing.
    assert recovered(Checkpointer, stock) == 2.0
    newest = Checkpointer(stock).find_checkpoint()
    assert newest.paramfiles["deadly"].read_text() == "half"
    assert recovered(AtomicCheckpointer, atomic) == 1.0

    (leftover,) = (x for x in names(atomic) if x.startswith(UNFINISHED))
    again = checkpointer_of(AtomicCheckpointer, atomic, 3.0)
    assert leftover in names(atomic), "another process may be writing it"
    assert again.remove_leftovers() == 1
    again.save_checkpoint(name=name)
    assert recovered(AtomicCheckpointer, atomic) == 3.0
    assert not any(x.startswith(UNFINISHED) for x in names(atomic))


def test_an_error_while_saving(tmp_path):
    checkpointer_of(AtomicCheckpointer, tmp_path, 1.0).save_checkpoint()
    broken = checkpointer_of(
        AtomicCheckpointer, tmp_path, 2.0, Deadly(raise_error)
    )
    with pytest.raises(OSError, match="No space"):
        broken.save_checkpoint()
    assert recovered(AtomicCheckpointer, tmp_path) == 1.0


def test_killed_while_deleting(tmp_path, monkeypatch):
    """By a metric, the old checkpoint may be the one that is wanted."""
    checkpointer_of(AtomicCheckpointer, tmp_path, 1.0).save_checkpoint(
        {"score": 9}
    )
    remove = os.unlink

    def delete_one_file(path):
        for file in sorted(path.iterdir(), reverse=True)[:1]:
            remove(file)
        die()

    def save_and_delete():
        monkeypatch.setattr(checkpointing.shutil, "rmtree", delete_one_file)
        checkpointer_of(AtomicCheckpointer, tmp_path, 2.0).save_and_keep_only(
            {"score": 1}
        )

    assert in_a_process(save_and_delete) == -signal.SIGKILL
    checkpointer = checkpointer_of(AtomicCheckpointer, tmp_path, -1.0)
    checkpointer.recover_if_possible(max_key="score")
    assert checkpointer.recoverables["model"].weight.item() == 2.0
    assert checkpointer.remove_leftovers() == 1
    assert len(names(tmp_path)) == 1


def test_killed_between_the_last_file_and_the_rename(tmp_path, monkeypatch):
    checkpointer_of(AtomicCheckpointer, tmp_path, 1.0).save_checkpoint()

    def save():
        monkeypatch.setattr(checkpointing.os, "rename", lambda *_: die())
        checkpointer_of(AtomicCheckpointer, tmp_path, 2.0).save_checkpoint()

    assert in_a_process(save) == -signal.SIGKILL
    assert recovered(AtomicCheckpointer, tmp_path) == 1.0


def test_a_returned_checkpoint_is_where_it_says(tmp_path):
    checkpointer = checkpointer_of(AtomicCheckpointer, tmp_path, 4.0)
    saved = checkpointer.save_checkpoint({"score": 3}, name="best")
    assert saved.path == tmp_path / "CKPT+best"
    assert saved == checkpointer.find_checkpoint(max_key="score")
    checkpointer.load_checkpoint(saved)
    replaced = checkpointer.save_checkpoint({"score": 5}, name="best")
    assert names(tmp_path) == ["CKPT+best"]
    assert checkpointer.find_checkpoint().meta["score"] == 5
    assert replaced.meta["score"] == 5


def test_what_is_kept_equals_the_stock_class(tmp_path):
    scores = [3, 9, 1, 5, 7]
    kept = []
    for kind in (Checkpointer, AtomicCheckpointer):
        checkpointer = checkpointer_of(kind, tmp_path / kind.__name__, 1.0)
        for score in scores:
            checkpointer.save_and_keep_only(
                {"score": score},
                num_to_keep=2,
                importance_keys=[],
                max_keys=["score"],
                ckpt_predicate=lambda ckpt: ckpt.meta["score"] != 1,
            )
        kept.append(
            sorted(c.meta["score"] for c in checkpointer.list_checkpoints())
        )
    assert kept == [[1, 5, 7, 9], [1, 5, 7, 9]]
    with pytest.raises(ValueError, match="num_to_keep is -1"):
        checkpointer.delete_checkpoints(num_to_keep=-1)


def test_default_lists_do_not_grow(tmp_path):
    def importance_keys(kind):
        defaults = kind.save_and_keep_only.__defaults__
        return [x for x in defaults if isinstance(x, (list, tuple))][0]

    before = len(importance_keys(Checkpointer))
    for kind in (Checkpointer, AtomicCheckpointer):
        checkpointer = checkpointer_of(kind, tmp_path / kind.__name__, 1.0)
        for _ in range(3):
            checkpointer.save_and_keep_only()
    assert len(importance_keys(Checkpointer)) == before + 3
    assert len(importance_keys(AtomicCheckpointer)) == 0
    del importance_keys(Checkpointer)[before:]


def test_a_training_run_clears_leftovers(tmp_path):
    (tmp_path / f"{UNFINISHED}CKPT+old").mkdir()
    brain = toy_brain(tmp_path)
    brain.on_fit_start()
    assert names(tmp_path) == []
