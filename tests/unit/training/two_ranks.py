"""Run by test_two_ranks.py on each of two gloo ranks."""

import sys

import speechbrain as sb
import torch
from torch.nn.parallel import DistributedDataParallel
from unit.training.toy_brain import ToySet, loader, sampler, toy_brain, weights

GLOO = {"distributed_backend": "gloo"}


def train(folder):
    """Resume or begin; the third epoch is left to a second run."""
    rank = torch.distributed.get_rank()
    brain = toy_brain(folder / "save", ckpt_interval_steps=2, **GLOO)
    brain.fit(
        brain.hparams.epochs, loader(rank=rank, world_size=2, empty=range(6))
    )
    return brain


def main(folder):
    sb.utils.distributed.ddp_init_group({**GLOO, "device": "cpu"})
    rank = torch.distributed.get_rank()
    brain = train(folder)
    result = {
        "weights": weights(brain),
        "losses": brain.losses,
        "updates": brain.optimizer_step,
        "skipped": brain.skipped_steps,
        "targets": brain.update_targets,
        "grad_norm": brain.grad_norm,
        "seen": brain.seen,
        "wrapped": isinstance(
            brain.modules["student"], DistributedDataParallel
        ),
        "raw": brain.raw_modules["student"] is brain.hparams.student,
    }
    # The same sampler handed to SpeechBrain's own loader building.
    by_keywords = toy_brain(**GLOO)
    data = ToySet(range(6))
    by_keywords.fit(
        [1, 2, 3],
        data,
        train_loader_kwargs={
            "batch_sampler": sampler(rank=rank, world_size=2),
            "collate_fn": data.collate,
        },
    )
    result["by_keywords"] = weights(by_keywords)
    result["seen_by_keywords"] = by_keywords.seen
    # The checkpoint of the end resumes to nothing left to do.
    limited = toy_brain(folder / "limit", optimizer_step_limit=3, **GLOO)
    limited.fit([1, 2], loader(rank=rank, world_size=2))
    again = toy_brain(folder / "limit", optimizer_step_limit=3, **GLOO)
    again.fit([1, 2], loader(rank=rank, world_size=2))
    result["limited"] = weights(limited)
    result["again"] = weights(again)
    result["replayed"] = len(again.seen)
    torch.save(result, folder / f"rank{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    from pathlib import Path

    main(Path(sys.argv[1]))
