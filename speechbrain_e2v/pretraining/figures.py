"""What is logged of an update or of a validation, gathered batch by batch."""

from collections.abc import Callable

import torch

from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.pretraining.health import feature_health, utterance_spread
from speechbrain_e2v.pretraining.masking import MaskLayout
from speechbrain_e2v.pretraining.student import StudentOutput
from speechbrain_e2v.pretraining.teacher import Targets

VALIDATION_ROWS = 64
"""Frames of a batch that the ranks of a validation are computed from."""

Predictions = tuple[StudentOutput, Targets, MaskLayout]


class Figures:
    """Losses of all micro-batches, weighted by targets, and features of some.

    Nothing is read from the device before it is asked for.
    """

    def __init__(self, device: torch.device | str):
        self._losses = torch.zeros(2, device=device)
        self._targets = torch.zeros((), device=device)
        self._last: tuple[Predictions, torch.Tensor] | None = None
        self._rows: dict[str, list[torch.Tensor]] = {}

    def add(
        self,
        frame: torch.Tensor,
        utterance: torch.Tensor,
        count: int | torch.Tensor,
    ) -> None:
        """Add the mean losses of a micro-batch with `count` targets."""
        self._losses += count * torch.stack([frame, utterance]).detach()
        self._targets += count

    def keep_batch(
        self, predictions: Predictions, target: torch.Tensor
    ) -> None:
        """Keep a batch for `health_of_batch`; the last one counts."""
        self._last = predictions, target

    def keep_rows(self, predictions: Predictions, target: torch.Tensor) -> None:
        """Keep some frames of a batch for `health_of_rows`."""
        for name, x in _features(predictions, target).items():
            thinned = x[:: -(-len(x) // VALIDATION_ROWS)]
            self._rows.setdefault(name, []).append(thinned.float())

    def mean_losses(
        self, sum_over_ranks: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[float, float] | None:
        """Frame and utterance loss; None without targets; all ranks call."""
        sums = torch.cat([self._losses, self._targets[None]])
        frame, utterance, targets = sum_over_ranks(sums).tolist()
        return (frame / targets, utterance / targets) if targets else None

    def health_of_batch(self) -> dict[str, float]:
        """Spread and rank of the batch that was kept, its masked share."""
        if self._last is None:
            return {}
        predictions, target = self._last
        _, targets, layout = predictions
        return {
            "masked_share": layout.masked.shape[1] / layout.frames,
            **feature_health(**_features(predictions, target)),
            "spread_utterance_target": utterance_spread(targets.utterance),
        }

    def health_of_rows(self) -> dict[str, float]:
        """Spread and rank of the frames that were kept."""
        rows = {name: torch.cat(x) for name, x in self._rows.items()}
        return feature_health(**rows)


def _features(
    predictions: Predictions, target: torch.Tensor
) -> dict[str, torch.Tensor]:
    output, _, layout = predictions
    conv_real = None
    if output.num_frames is not None:
        conv_real = frame_mask(output.num_frames, output.conv.shape[1])
    return {
        "conv": _rows(output.conv, conv_real),
        "encoder": _rows(output.visible, layout.visible_real),
        "prediction": _rows(output.prediction, layout.masked_real),
        "target": _rows(target, layout.masked_real),
    }


def _rows(x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """[B, T, D] -> [N, D], without padding."""
    x = x.detach()
    return x.flatten(0, 1) if real is None else x[real]
