"""The epochs of a fold, kept in its checkpoints."""

import json
from pathlib import Path

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)

from speechbrain_e2v.downstream.best_epoch import BestEpoch


@register_checkpoint_hooks
class EpochLog:
    """Entries of all epochs, and which is best; the weights lie elsewhere.

    >>> log = EpochLog("valid_ua", patience=2)
    >>> for epoch, ua in enumerate((50.0, 60.0, 60.0, 55.0), start=1):
    ...     log.add({"epoch": epoch, "valid_ua": ua})
    >>> log.best["epoch"], log.ended, log.rank
    (2, True, [55.0, -4])
    """

    def __init__(self, score: str, patience: int | None = None) -> None:
        self._score, self._patience = score, patience
        self._epochs = BestEpoch(score, patience=patience)

    @property
    def history(self) -> list[dict]:
        """An entry an epoch."""
        return self._epochs.history

    @property
    def best(self) -> dict:
        """The entry with the highest score; of equals the first."""
        return self._epochs.entry

    @property
    def ended(self) -> bool:
        """Whether patience is used up."""
        return self._epochs.ended

    @property
    def rank(self) -> list[float]:
        """What the newest epoch's checkpoint is compared by."""
        newest = self.history[-1]
        return [newest[self._score], -newest["epoch"]]

    def add(self, entry: dict) -> None:
        """Take an epoch; ValueError when its score is no number."""
        self._epochs.update(entry, {})

    @mark_as_saver
    def _save(self, path: Path) -> None:
        Path(path).write_text(json.dumps(self.history), "utf-8")

    @mark_as_loader
    def _load(self, path: Path, end_of_epoch: bool) -> None:
        self._epochs = BestEpoch(self._score, patience=self._patience)
        for entry in json.loads(Path(path).read_text("utf-8")):
            self._epochs.update(entry, {})
