"""Two gloo ranks equal one rank with accumulation 2, dropout and all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from unit.training.toy_brain import loader, toy_brain, weights

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_ranks")
    search = [str(REPOSITORY), str(REPOSITORY / "tests")]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run"),
            *("--nproc-per-node", "2", "--master-port", "0"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"),
            str(Path(__file__).with_name("two_ranks.py")),
            str(folder),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(search),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [
        torch.load(folder / f"rank{rank}.pt", weights_only=True)
        for rank in (0, 1)
    ]


@pytest.fixture(scope="module")
def alone():
    brain = toy_brain(grad_accumulation_factor=2)
    brain.fit(brain.hparams.epochs, loader(accumulation=2, empty=range(6)))
    return brain


def test_weights_and_teachers_agree(ranks, alone):
    assert torch.equal(ranks[0]["weights"], ranks[1]["weights"])
    torch.testing.assert_close(
        ranks[0]["weights"], weights(alone), rtol=1e-6, atol=1e-6
    )


def test_updates_targets_and_norms_agree(ranks, alone):
    for rank in ranks:
        assert rank["updates"] == alone.optimizer_step
        assert rank["skipped"] == alone.skipped_steps
        assert rank["targets"] == alone.update_targets
        assert rank["grad_norm"] == pytest.approx(alone.grad_norm, rel=1e-5)


def test_each_rank_does_every_second_micro_batch(ranks, alone):
    interleaved = [
        seen
        for pair in zip(ranks[0]["seen"], ranks[1]["seen"], strict=True)
        for seen in pair
    ]
    assert interleaved == alone.seen


def test_losses_agree(ranks, alone):
    """Also those of dropout: the slot in the update seeds, not the rank."""
    with_targets = 0
    for index, loss in enumerate(alone.losses):
        place, rank = divmod(index, 2)
        if set(alone.seen[index][1]) <= set(range(6)):
            continue  # shows its own running average
        with_targets += 1
        assert ranks[rank]["losses"][place] == pytest.approx(loss, rel=1e-5)
    assert with_targets > 10


def test_keywords_shard_once(ranks):
    for rank in ranks:
        assert rank["seen_by_keywords"] == rank["seen"]
        assert torch.equal(rank["by_keywords"], rank["weights"])


def test_wrapped_and_raw(ranks):
    for rank in ranks:
        assert rank["wrapped"]
        assert rank["raw"]


def test_a_finished_run_starts_nothing_on_any_rank(ranks):
    for rank in ranks:
        assert rank["replayed"] == 0
        assert torch.equal(rank["again"], rank["limited"])
