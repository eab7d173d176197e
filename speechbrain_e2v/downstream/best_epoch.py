"""Which epoch of a training is kept."""

import math
from collections.abc import Mapping

from torch import Tensor


class BestEpoch:
    """Keeps the entries of all epochs, and the weights of the best.

    ``score`` names what is compared, the highest unless ``lowest``; of equals
    the first epoch stays. ``patience`` is after how many epochs without a
    better one nothing more is taken.

    >>> best = BestEpoch("valid_wa", patience=1)
    >>> for epoch, wa in enumerate((50.0, 50.0, 90.0), start=1):
    ...     best.update({"epoch": epoch, "valid_wa": wa}, {})
    >>> best.entry["epoch"], best.ended, len(best.history)
    (1, True, 2)
    """

    def __init__(
        self, score: str, lowest: bool = False, patience: int | None = None
    ) -> None:
        self._score = score
        self._sign = -1.0 if lowest else 1.0
        self._patience = patience
        self.entry: dict = {}
        self.state: dict[str, Tensor] = {}
        self.history: list[dict] = []
        self.ended = False

    def update(self, entry: dict, state: Mapping[str, Tensor]) -> None:
        """Take an epoch; its weights are copied if it is the best so far.

        Raises ValueError when the score is no number: training has diverged.
        """
        if self.ended:
            return
        score = entry[self._score]
        if not math.isfinite(score):
            name = self._score.replace("valid_", "validation ")
            raise ValueError(
                f"epoch {entry['epoch']}: the {name} is {score}; lower the "
                "learning rate of the optimizer"
            )
        self.history.append(entry)
        if not self.entry or self._sign * (score - self.entry[self._score]) > 0:
            self.entry = entry
            self.state = {
                name: value.detach().clone() for name, value in state.items()
            }
        if self._patience is not None:
            waited = entry["epoch"] - self.entry["epoch"]
            self.ended = waited >= self._patience
