"""One training of a conversation network, and the epochs chosen from it."""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import speechbrain as sb
import torch
import torch.nn.functional as F

from speechbrain_e2v.downstream.best_epoch import BestEpoch
from speechbrain_e2v.metrics import unweighted_accuracy
from speechbrain_e2v.training.brain import E2VBrain


class ConversationBrain(E2VBrain):
    """Trains one network and keeps the best epoch of every fold it serves.

    Arguments
    ---------
    modules : dict
        ``{"model": ConversationModel}``.
    opt_class : callable
        Parameters to optimizer.
    hparams : dict
        ``seed``; ``vectors`` and ``units`` of all utterances;
        ``parts``, a :class:`ValidationPart` per fold.
    run_opts : RunOptions, dict or None
        Device and so on.
    """

    def on_stage_start(self, stage, epoch=None):
        """Forget the predictions of the stage before."""
        self._logits = []

    def on_fit_start(self):
        """Put the utterances' vectors where the network is."""
        super().on_fit_start()
        self._vectors = self.hparams.vectors.to(self.device)
        self._units = self.hparams.units.to(self.device)

    def compute_forward(self, batch, stage):
        """Logits [B, C]."""
        return self._logits_of(self.modules.model, batch)

    def _logits_of(self, model, batch):
        batch = batch.to(self.device)
        return model(
            self._vectors,
            self._units,
            batch.rows,
            batch.lengths,
            batch.roles,
            batch.turns,
        )

    def compute_objectives(self, logits, batch, stage):
        """Cross-entropy, mean over the samples of the batch."""
        if stage != sb.Stage.TRAIN:
            self._logits.append(logits)
        return F.cross_entropy(logits.float(), batch.labels.to(self.device))

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """After validation, every fold looks at its own part of it."""
        if stage == sb.Stage.TRAIN:
            self._train_loss = float(stage_loss)
        if stage == sb.Stage.VALID:
            predicted = torch.cat(self._logits).argmax(dim=1).tolist()
            for part in self.hparams.parts:
                chosen = [predicted[place] for place in part.places]
                entry = {
                    "epoch": epoch,
                    "train_loss": self._train_loss,
                    "valid_uar": unweighted_accuracy(part.labels, chosen),
                }
                part.best.update(entry, self.modules.model.state_dict())

    def unfinished(self, epochs):
        """Epochs until no fold waits for a better one."""
        return itertools.takewhile(
            lambda _: not all(part.best.ended for part in self.hparams.parts),
            epochs,
        )

    def model_of(self, state):
        """A copy of the model with the parameters of an epoch."""
        model = copy.deepcopy(self.modules.model)
        model.load_state_dict(state)
        return model.eval()

    def posteriors(self, model, batches):
        """Class probabilities [N, C] on the CPU."""
        with torch.no_grad():
            logits = [self._logits_of(model, batch) for batch in batches]
        return torch.cat(logits).float().softmax(dim=1).cpu()


@dataclass
class ValidationPart:
    """One fold's samples among all that are validated, and its best epoch."""

    places: Sequence[int]
    labels: Sequence[int]
    best: BestEpoch
