"""The training of encoder and head on one fold."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import ddp_all_reduce
from torch import Tensor
from torch.utils.data import DataLoader

from speechbrain_e2v.downstream.finetuning.batches import TuningBatch
from speechbrain_e2v.downstream.finetuning.learning_rates import (
    OPENS,
    parameter_groups,
)
from speechbrain_e2v.downstream.finetuning.model import TunedEncoder
from speechbrain_e2v.lobes.batching import waveform_batch
from speechbrain_e2v.training.brain import E2VBrain

_RANK = "rank"


@register_checkpoint_hooks
class TrainedState:
    """What training may change of a model: the rest is the encoder's own."""

    def __init__(self, model: TunedEncoder) -> None:
        self._model = model

    @mark_as_saver
    def _save(self, path: Path) -> None:
        torch.save(self._model.trained_state(), path)

    @mark_as_loader
    def _load(self, path: Path, end_of_epoch: bool) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._model.load_trained_state(state)


class FineTuningBrain(E2VBrain):
    """Trains ``modules["model"]``, a :class:`TunedEncoder`.

    ``hparams`` has, beside what E2VBrain asks for, ``objective``, a
    :class:`FoldObjective`; ``rates`` and ``unfreezing``; ``augmentation``, a
    list of functions from waveforms and targets to the same, which draw from
    torch's generator and are called in training only; ``log``, an
    :class:`EpochLog`; and ``advance``, called after each epoch.
    """

    def parameter_groups(self) -> list[dict]:
        """Groups by depth."""
        model = self.raw_modules["model"]
        assert isinstance(model, TunedEncoder)
        return parameter_groups(
            model,
            self.hparams.rates,
            self.hparams.unfreezing,
        )

    def on_fit_start(self) -> None:
        """Go on from a checkpoint, whose epochs need no doing."""
        super().on_fit_start()
        for _ in self.hparams.log.history:
            self.hparams.advance()

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Forget the outputs of the stage before."""
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._names: list[str] = []

    def compute_forward(
        self, batch: TuningBatch, stage: sb.Stage
    ) -> tuple[Tensor, Tensor]:
        """Outputs [B, n], and their targets, which augmentation may change."""
        waveforms, targets = batch.waveforms, batch.targets
        if stage == sb.Stage.TRAIN:
            for change in self.hparams.augmentation:
                waveforms, targets = change(waveforms, targets)
        ready = waveform_batch(waveforms, self.device)
        outputs = self.modules["model"](ready.wav, ready.lengths)
        return outputs, targets.to(self.device)

    def compute_objectives(
        self,
        predictions: tuple[Tensor, Tensor],
        batch: TuningBatch,
        stage: sb.Stage,
    ) -> Tensor:
        """The loss of the batch."""
        outputs, targets = predictions
        loss = self.hparams.objective.loss(outputs, targets)
        if stage != sb.Stage.TRAIN:
            self._outputs.append(outputs.float().cpu())
            self._targets.append(targets.cpu())
            self._names += batch.names
            return loss
        self.count_targets(len(outputs))
        return self.weighted(loss, len(outputs))

    def optimizers_step(self) -> None:
        """Leave alone what is not open yet: no step, no clipping by it."""
        for optimizer in (self.optimizers_dict or {}).values():
            for group in optimizer.param_groups:
                if self.optimizer_step < group[OPENS]:
                    for parameter in group["params"]:
                        parameter.grad = None
        super().optimizers_step()

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """After validation write down the epoch and keep its checkpoint."""
        if stage == sb.Stage.TRAIN:
            # Each rank knows the mean over its own, equally many batches.
            total = ddp_all_reduce(
                torch.tensor(float(stage_loss), device=self.device),
                torch.distributed.ReduceOp.SUM,
            )
            self._train_loss = total.item() / self.world_size
        if stage != sb.Stage.VALID:
            return
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        objective, log = self.hparams.objective, self.hparams.log
        log.add(
            {
                "epoch": epoch,
                "updates": self.optimizer_step,
                "lr": self.learning_rate,
                "train_loss": self._train_loss,
                "valid_loss": objective.loss(outputs, targets).item(),
                # Of all utterances at once: not one of these is a mean over
                # batches, and none is of the last batch alone.
                **objective.valid_scores(outputs, self._names),
            }
        )
        if self.checkpointer is not None:
            self.checkpointer.save_and_keep_only(
                meta={_RANK: log.rank},
                max_keys=[_RANK],
                num_to_keep=1,
                verbosity=logging.DEBUG,  # there is a bar for the epochs
            )
        self.hparams.advance()

    def unfinished(self, epochs: Iterable[int]) -> Iterator[int]:
        """Epochs until patience is used up."""
        return itertools.takewhile(lambda _: not self.hparams.log.ended, epochs)

    def load_best(self) -> None:
        """Take the weights of the best epoch."""
        assert self.checkpointer is not None
        best = self.checkpointer.find_whole(max_key=_RANK)
        assert best is not None  # an epoch has been validated
        self.checkpointer.load_checkpoint(best)

    @torch.no_grad()
    def outputs_of(self, batches: DataLoader) -> dict[str, Tensor]:
        """Outputs [n] of every utterance, by id, fp32 on the CPU.

        In single precision, whatever training was done in: it is what others
        get of an export.
        """
        self.modules.eval()
        found: dict[str, Tensor] = {}
        for batch in batches:
            outputs, _ = self.compute_forward(batch, sb.Stage.TEST)
            found |= zip(batch.names, outputs.float().cpu(), strict=True)
        return found
