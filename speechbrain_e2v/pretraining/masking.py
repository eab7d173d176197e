"""Which frames the student does not see.

Masks are pure functions of seeds such as (seed, update, utterance, clone) and
of the number of frames, drawn after cropping, on the CPU.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from speechbrain_e2v.training.seeding import hash_uniform, stable_hash

_SECOND_STREAM = 0x5851F42D4C957F2D
"""Turns a row's seed into another one: frames and spans are drawn apart, so
that a row does not depend on the longest row of its batch."""

Seeds = Sequence[Sequence[int]]
"""[B][K]: one number a clone."""


def clone_seeds(
    seed: int, update: int, ids: Sequence[str], clones: int
) -> list[list[int]]:
    """Seeds of every clone's mask, [B][K].

    Example
    -------
    >>> a, b = clone_seeds(1, 7, ["x"], 2)[0]
    >>> a == b
    False
    """
    return [
        [stable_hash(seed, update, name, clone) for clone in range(clones)]
        for name in ids
    ]


def block_masks(
    num_frames: Sequence[int],
    seeds: Seeds,
    mask_prob: float = 0.5,
    mask_length: int = 5,
    mask_prob_adjust: float = 0.05,
) -> torch.Tensor:
    """Block masks with exactly int(mask_prob * T) masked frames each.

    Centres are drawn with replacement, each masks `mask_length` (odd) frames
    around itself, then single random frames are masked or shown until the
    count is exact: the scheme of the released training data loader.
    `mask_prob_adjust` raises the number of centres, because blocks overlap.

    Returns [B, K, T], bool, True where masked; T is the longest utterance.

    Example
    -------
    >>> block_masks([200, 100], [[1, 2], [3, 4]]).sum(2).tolist()
    [[100, 100], [50, 50]]
    """
    frames, rows, shape = _rows(num_frames, seeds)
    longest = shape[2]
    centres = (frames * (mask_prob + mask_prob_adjust) / mask_length).astype(
        np.int64
    )
    most = int(centres.max())
    draws = hash_uniform(rows ^ _SECOND_STREAM, most)
    centre = (draws * frames[:, None]).astype(np.int64)
    used = np.arange(most)[None, :] < centres[:, None]
    row = np.broadcast_to(np.arange(len(frames))[:, None], centre.shape)[used]
    masked = np.zeros((len(frames), longest), dtype=bool)
    for offset in range(-(mask_length // 2), (mask_length + 1) // 2):
        column = np.clip(centre + offset, 0, frames[:, None] - 1)[used]
        masked[row, column] = True
    count = (frames * mask_prob).astype(np.int64)
    masked = _exactly(masked, rows, frames, count)
    return torch.from_numpy(masked.reshape(shape))


def span_masks(
    num_frames: Sequence[int],
    seeds: Seeds,
    mask_prob: float = 0.5,
    mask_length: int = 5,
    min_masks: int = 1,
) -> torch.Tensor:
    """Overlapping spans from distinct random starts (paper's text).

    The expected number of spans is mask_prob * T / mask_length, at least
    `min_masks`; rows are then thinned at random to the smallest count of the
    batch, as the released code does where it masks this way.

    Returns [B, K, T], bool.

    Example
    -------
    >>> counts = span_masks([200, 200], [[1, 2], [3, 4]]).sum(2)
    >>> counts.unique().numel()
    1
    """
    frames, rows, shape = _rows(num_frames, seeds)
    longest = shape[2]
    draws = hash_uniform(rows ^ _SECOND_STREAM, 1 + longest)
    spans = (mask_prob * frames / mask_length + draws[:, 0]).astype(np.int64)
    spans = np.maximum(spans, min_masks)
    length = np.minimum(mask_length, frames - spans - 1)
    if length.min() < 1:
        raise ValueError(
            f"an utterance of {frames.min()} frames is too short for masks of "
            f"{mask_length} frames at mask_prob {mask_prob}: raise "
            "min_seconds or use block masks."
        )
    masked = np.zeros((len(frames), longest), dtype=bool)
    for row, (start_draws, n, m, end) in enumerate(
        zip(draws[:, 1:], spans, length, frames, strict=True)
    ):
        for start in np.argsort(start_draws[: end - m])[:n]:
            masked[row, start : start + m] = True
    count = np.full_like(frames, masked.sum(1).min())
    masked = _exactly(masked, rows, frames, count)
    return torch.from_numpy(masked.reshape(shape))


def _rows(
    num_frames: Sequence[int], seeds: Seeds
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    frames = np.asarray(num_frames, dtype=np.int64)
    numbers = np.asarray(seeds, dtype=np.int64)
    utterances, clones = numbers.shape
    shape = (utterances, clones, int(frames.max()))
    return np.repeat(frames, clones), numbers.ravel(), shape


def _exactly(
    masked: np.ndarray, seeds: np.ndarray, frames: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """Show or mask random single frames until row r masks count[r].

    Masked frames rank above visible ones, in random order among themselves;
    the first count[r] are taken, so either excess or lack is mended fairly.
    (Two equal draws of 53 bits at the border: once in 10**13 rows.)
    """
    longest = masked.shape[1]
    real = np.arange(longest)[None, :] < frames[:, None]
    score = np.where(real, hash_uniform(seeds, longest) + masked, -1.0)
    place = np.minimum(longest - count, longest - 1)
    border = np.sort(score, axis=1)[np.arange(len(count)), place]
    return (score >= border[:, None]) & (count > 0)[:, None]


class MaskLayout(NamedTuple):
    """A mask as gather indices; rows are clones (R = B * K).

    `visible_real` and `masked_real` are None when every row has the same
    counts; otherwise False marks fillers, which point at frame 0.
    """

    visible: torch.Tensor
    """[R, V], long, ascending."""
    masked: torch.Tensor
    """[R, M], long, ascending."""
    visible_real: torch.Tensor | None
    """[R, V], bool."""
    masked_real: torch.Tensor | None
    """[R, M], bool."""
    frames: int
    clones: int

    def to(self, device: torch.device | str) -> "MaskLayout":
        """Move the indices to a device without waiting for it."""
        visible_real, masked_real = (
            None if real is None else real.to(device, non_blocking=True)
            for real in (self.visible_real, self.masked_real)
        )
        return self._replace(
            visible=self.visible.to(device, non_blocking=True),
            masked=self.masked.to(device, non_blocking=True),
            visible_real=visible_real,
            masked_real=masked_real,
        )

    def visible_frames(self) -> torch.Tensor:
        """[R, T], 1.0 where a frame is visible."""
        if self.visible_real is None:
            source = torch.ones_like(self.visible, dtype=torch.float32)
        else:
            source = self.visible_real.float()
        seen = source.new_zeros(len(self.visible), self.frames)
        return seen.scatter_add(1, self.visible, source)


def mask_layout(
    mask: torch.Tensor, num_frames: Sequence[int] | None = None
) -> MaskLayout:
    """Turn masks [B, K, T] (bool, on the CPU) into gather indices.

    `num_frames` [B] are the real frames of padded rows: padding is neither
    masked nor visible. A row without a masked or a visible frame is refused.

    Example
    -------
    >>> mask = torch.tensor([[[True, False, True, False]]])
    >>> layout = mask_layout(mask)
    >>> layout.visible.tolist(), layout.masked.tolist()
    ([[1, 3]], [[0, 2]])
    """
    _, clones, frames = mask.shape
    mask = mask.flatten(0, 1)
    visible = ~mask
    if num_frames is not None:
        real = torch.arange(frames)[None] < torch.as_tensor(num_frames)[:, None]
        visible &= real.repeat_interleave(clones, 0)
    for name, chosen in (("masked", mask), ("visible", visible)):
        empty = (chosen.sum(1) == 0).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"rows {empty} of the mask have no {name} frame: use longer "
                "utterances (min_seconds) or another mask_prob."
            )
    at_visible, visible_real = _indices(visible)
    at_masked, masked_real = _indices(mask)
    if visible_real.all() and masked_real.all():
        return MaskLayout(at_visible, at_masked, None, None, frames, clones)
    return MaskLayout(
        at_visible, at_masked, visible_real, masked_real, frames, clones
    )


def _indices(chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    count = chosen.sum(1)
    most = int(count.max())
    order = torch.argsort((~chosen).to(torch.uint8), dim=1, stable=True)
    real = torch.arange(most)[None] < count[:, None]
    return order[:, :most] * real, real
