"""What is logged of an update or of a validation, gathered batch by batch."""

from collections.abc import Callable, Mapping

import torch

from speechbrain_e2v.pretraining.health import feature_health

VALIDATION_ROWS = 64
"""Frames of a batch that the ranks of a validation are computed from."""

Features = Mapping[str, torch.Tensor]
"""Real frames [N, D] under a name."""
More = Callable[[], Mapping[str, float]]


class Figures:
    """Losses of all micro-batches, weighted by targets, and features of some.

    Nothing is read from the device before it is asked for.
    """

    def __init__(self, device: torch.device | str):
        self._losses: dict[str, torch.Tensor] = {}
        self._targets = torch.zeros((), device=device)
        self._last: tuple[Features, More] | None = None
        self._rows: dict[str, list[torch.Tensor]] = {}

    def add(
        self, losses: Mapping[str, torch.Tensor], count: int | torch.Tensor
    ) -> None:
        """Add the mean losses of a micro-batch with `count` targets."""
        for name, loss in losses.items():
            before = self._losses.get(name, 0)
            self._losses[name] = before + count * loss.detach()
        self._targets = self._targets + count

    def keep_batch(self, features: Features, more: More) -> None:
        """Keep a batch for `health_of_batch`; the last one counts."""
        self._last = features, more

    def keep_rows(self, features: Features) -> None:
        """Keep some frames of a batch for `health_of_rows`."""
        for name, x in features.items():
            thinned = x[:: max(1, -(-len(x) // VALIDATION_ROWS))]
            self._rows.setdefault(name, []).append(thinned.float())

    def mean_losses(
        self, sum_over_ranks: Callable[[torch.Tensor], torch.Tensor]
    ) -> dict[str, float] | None:
        """Losses by name; None without targets; all ranks call."""
        sums = torch.stack([*self._losses.values(), self._targets])
        *losses, targets = sum_over_ranks(sums).tolist()
        if not targets:
            return None
        pairs = zip(self._losses, losses, strict=True)
        return {name: loss / targets for name, loss in pairs}

    def health_of_batch(self) -> dict[str, float]:
        """Spread and rank of the batch that was kept, and what else it says."""
        if self._last is None:
            return {}
        features, more = self._last
        return {**feature_health(**features), **more()}

    def health_of_rows(self) -> dict[str, float]:
        """Spread and rank of the frames that were kept."""
        rows = {name: torch.cat(x) for name, x in self._rows.items()}
        return feature_health(**rows)
