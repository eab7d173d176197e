"""Where a run stands, and when that is to be saved."""

import json
import time
from pathlib import Path
from typing import NamedTuple, Protocol

from speechbrain.utils.distributed import ddp_broadcast


class Progress(NamedTuple):
    """Where a run stands: the part of a checkpoint that is not weights.

    >>> path = getfixture("tmp_path") / "brain.ckpt"
    >>> Progress(4, 2, 0.5, skipped_steps=1).write(path, accumulation=2)
    >>> Progress.read(path, end_of_epoch=True)
    Progress(step=0, optimizer_step=2, avg_train_loss=0.0, skipped_steps=1)
    """

    step: int
    """Micro-batches done in the epoch."""
    optimizer_step: int
    """Updates made in the run."""
    avg_train_loss: float
    """Mean over the epoch so far."""
    skipped_steps: int
    """Updates given up in the run."""

    def write(self, path: str | Path, accumulation: int) -> None:
        """Write a file.

        Inside an accumulation (micro-batches an update), whose gradient is in
        no checkpoint, this raises RuntimeError.
        """
        if self.step % accumulation:
            raise RuntimeError(
                f"A checkpoint was asked for at micro-batch {self.step}, but "
                f"an update has {accumulation}: the gradient so far would be "
                "lost. Save in on_stage_end or by ckpt_interval_steps."
            )
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._asdict(), file)

    @classmethod
    def read(cls, path: str | Path, end_of_epoch: bool) -> "Progress":
        """Read a file.

        After an `end_of_epoch` the next epoch begins at its first micro-batch,
        wherever in the old one the file was written.
        """
        with open(path, encoding="utf-8") as file:
            progress = cls(**json.load(file))
        if end_of_epoch:
            progress = progress._replace(step=0, avg_train_loss=0.0)
        return progress


class _Run(Protocol):
    """What `checkpoint_is_due` reads of a Brain."""

    step: int
    optimizer_step: int
    grad_accumulation_factor: int
    ckpt_interval_steps: int
    ckpt_interval_minutes: float
    last_save: float

    @property
    def _optimizer_step_limit_exceeded(self) -> bool: ...


def checkpoint_is_due(brain: _Run) -> bool:
    """Decide after a micro-batch whether to save; the same on all ranks.

    SpeechBrain counts micro-batches, anew in each epoch: it saves inside an
    accumulation, whose gradient is in no checkpoint, and never where epochs are
    short. Here intervals are updates or minutes, and the last update of a
    limited run is always saved.
    """
    if brain.step % brain.grad_accumulation_factor:
        return False
    if brain._optimizer_step_limit_exceeded:
        return True
    if brain.ckpt_interval_steps > 0:
        return brain.optimizer_step % brain.ckpt_interval_steps == 0
    if brain.ckpt_interval_minutes > 0:
        minutes = (time.monotonic() - brain.last_save) / 60
        return ddp_broadcast(minutes >= brain.ckpt_interval_minutes)
    return False
