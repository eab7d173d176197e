"""Training of a head on packed features, one Brain a fold."""

from typing import Any

import speechbrain as sb
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from speechbrain_e2v.downstream.packed import PackedBatch
from speechbrain_e2v.training.brain import E2VBrain


class ProbeBrain(E2VBrain):
    """Trains ``modules["head"]``, one of :mod:`speechbrain_e2v.lobes.heads`.

    ``hparams`` has ``seed``; ``loss(outputs, targets)``; ``valid_scores`` of
    the same arguments, which gives what the epoch's entry gets besides the
    loss; ``best``, a :class:`BestEpoch`; ``schedule``, an optimizer to a
    scheduler that is stepped once per epoch, or None; ``advance``, called
    after each epoch.
    """

    def on_fit_start(self) -> None:
        """Build the optimizer, then the schedule on it."""
        super().on_fit_start()
        self._head: Any = self.modules.head
        build = self.hparams.schedule
        self._schedule = build(self.optimizer) if build else None

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Forget the outputs of the stage before."""
        self._predicted: list[Tensor] = []
        self._truth: list[Tensor] = []

    def compute_forward(self, batch: PackedBatch, stage: sb.Stage) -> Tensor:
        """Outputs [B, n]."""
        batch = batch.to(self.device)
        return self._head.packed(batch.frames, batch.num_frames)

    def compute_objectives(
        self, outputs: Tensor, batch: PackedBatch, stage: sb.Stage
    ) -> Tensor:
        """The loss of the batch."""
        targets = batch.labels.to(self.device)
        if stage != sb.Stage.TRAIN:
            self._predicted.append(outputs)
            self._truth.append(targets)
        return self.hparams.loss(outputs, targets)

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """After training step the schedule, after validation keep the best."""
        if stage == sb.Stage.TRAIN:
            group = self.optimizer.param_groups[0]
            self._entry = {
                "epoch": epoch,
                "lr": group["lr"],
                "momentum": group.get("momentum"),
                "train_loss": float(stage_loss),
            }
            if self._schedule is not None:
                self._schedule.step()
        if stage == sb.Stage.VALID:
            # Over the whole part: concordance is no mean over batches.
            pair = torch.cat(self._predicted), torch.cat(self._truth)
            self._entry["valid_loss"] = self.hparams.loss(*pair).item()
            self._entry |= self.hparams.valid_scores(*pair)
            self.hparams.best.update(self._entry, self._head.state_dict())
            self.hparams.advance()

    def outputs(self, batches: DataLoader) -> Tensor:
        """Outputs [N, n] of the best epoch's head, on the CPU."""
        self._head.load_state_dict(self.hparams.best.state)
        self.modules.eval()
        with torch.no_grad():
            outputs = [
                self.compute_forward(batch, sb.Stage.TEST) for batch in batches
            ]
        return torch.cat(outputs).float().cpu()
