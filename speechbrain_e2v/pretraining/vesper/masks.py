"""Which frames Vesper's student does not see: spans led by energy.

Small spans are hidden from the lower half of the blocks. They begin at loud
frames and at quiet ones that are no silence, in equal parts; large spans,
which begin where small ones do, are hidden from the upper half (Chen et al.,
2023, section 3.2; numbers of the released code).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from speechbrain_e2v.lobes.lengths import HOP, MIN_SAMPLES
from speechbrain_e2v.training.seeding import hash_uniform, stable_hash

Draw = Callable[[int], np.ndarray]
"""A random permutation of so many numbers."""

KINDS = ("energy", "random")


def frame_rms(wav: torch.Tensor) -> np.ndarray:
    """Root mean square of every frame of waveforms [B, S], [B, T] float32.

    Frames are the encoder's: 25 ms each 20 ms.

    >>> frame_rms(torch.tensor([[3.0, -3.0] * 360])).tolist()
    [[3.0, 3.0]]
    """
    frames = wav.float().unfold(1, MIN_SAMPLES, HOP)
    return frames.square().mean(2).sqrt().numpy()


class Permutations:
    """Permutations that are a pure function of (seed, update, utterance).

    >>> draw = Permutations(1, 7, "a")
    >>> sorted(draw(4).tolist()), Permutations(1, 7, "a")(9).shape
    ([0, 1, 2, 3], (9,))
    """

    def __init__(self, seed: int, update: int, name: str):
        self._of = seed, update, name
        self._drawn = 0

    def __call__(self, count: int) -> np.ndarray:
        """The next one, of 0 to count - 1."""
        key = stable_hash(*self._of, "vesper", self._drawn)
        self._drawn += 1
        return np.argsort(hash_uniform([key], count)[0], kind="stable")


@dataclass(frozen=True)
class SpanMasks:
    """Small and large spans; see the module.

    `high` and `low` are shares of the loudest frame's RMS. No more than
    `max_share` of an utterance's frames begin to be hidden, and spans of one
    draw are `space` frames apart. `kind` "random" draws small spans anywhere.

    The released code multiplies the thresholds of an utterance by the loudest
    frames of all before it in the batch, so that from the third utterance on
    none is led by energy, and it spaces starts in the order of their draw,
    which moves them off the frames that they were drawn for.
    `reference_quirks` does so, too.
    """

    kind: str = "energy"
    small_span: int = 8
    num_small_spans: int = 20
    large_span: int = 40
    num_large_spans: int = 4
    max_share: float = 0.64
    space: int = 1
    high: tuple[float, float] = (0.5, 1.0)
    low: tuple[float, float] = (0.2, 0.49)
    reference_quirks: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"mask_kind is {self.kind!r}: choose one of {KINDS}"
            )

    def __call__(
        self,
        rms: np.ndarray,
        num_frames: Sequence[int],
        draws: Sequence[Draw],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hide frames of a batch: small and large masks [B, T], True: hidden.

        `rms` [B, T] is of `frame_rms`, `num_frames` [B] the real frames. Every
        utterance draws of its own. ValueError: one is no longer than a small
        span.
        """
        sets = self.candidates(rms, num_frames)
        small = [
            self.small_starts(frames, candidates, draw)
            for frames, candidates, draw in zip(
                num_frames, sets, draws, strict=True
            )
        ]
        large = [
            self.large_starts(frames, starts, draw)
            for frames, starts, draw in zip(
                num_frames, small, draws, strict=True
            )
        ]
        longest = rms.shape[1]
        return (
            self._marked(small, num_frames, longest, self.small_span),
            self._marked(large, num_frames, longest, self.large_span),
        )

    def candidates(
        self, rms: np.ndarray, num_frames: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Loud starts and quiet ones of every utterance, ascending."""
        bounds = np.array([*self.high, *self.low], dtype=np.float32)
        sets = []
        for row, frames in zip(rms, num_frames, strict=True):
            if frames <= self.small_span:
                raise ValueError(
                    f"an utterance of {frames} frames is too short for spans "
                    f"of {self.small_span}: raise min_seconds"
                )
            row = row[: frames - self.small_span]
            own = bounds * row.max()
            if self.reference_quirks:
                bounds = own
            sets.append(
                (
                    np.flatnonzero((row >= own[0]) & (row <= own[1])),
                    np.flatnonzero((row >= own[2]) & (row <= own[3])),
                )
            )
        return sets

    def small_starts(
        self,
        frames: int,
        candidates: tuple[np.ndarray, np.ndarray],
        draw: Draw,
    ) -> list[int]:
        """Starts of small spans: half of them loud, the others quiet.

        Where too few are left when they have been spaced, any others are
        taken, which may overlap.
        """
        span = self.small_span
        count = self._count(frames, span, self.num_small_spans)
        last = frames - span
        if self.kind == "random":
            chosen = draw(last)[:count]
            starts = self._spaced(sorted(chosen.tolist()), span, last)
        else:
            loud, quiet = candidates
            starts = self._drawn(loud, count // 2, last, draw)
            starts += self._drawn(quiet, count - len(starts), last, draw)
        wanted = max(count, 1)
        if len(starts) < wanted:
            starts += draw(last).tolist()
        return starts[:wanted]

    def large_starts(
        self, frames: int, small: Sequence[int], draw: Draw
    ) -> list[int]:
        """Starts of large spans, out of those of the small ones."""
        span = self.large_span
        count = self._count(frames, span, self.num_large_spans)
        last = frames - span
        fitting = sorted(start for start in small if start < last)
        found = self._spaced(fitting, span, last)
        if len(found) < count:
            return (found + draw(last).tolist())[:count]
        chosen = [found[index] for index in draw(len(found))[:count]]
        return chosen or [small[0]]

    def _count(self, frames: int, span: int, most: int) -> int:
        return min(most, int(self.max_share * frames / span))

    def _drawn(
        self, candidates: np.ndarray, count: int, last: int, draw: Draw
    ) -> list[int]:
        chosen = candidates[draw(len(candidates))[:count]].tolist()
        if not self.reference_quirks:
            chosen.sort()
        return self._spaced(chosen, self.small_span, last)

    def _spaced(self, starts: list[int], span: int, last: int) -> list[int]:
        """Move starts behind the span of the one before, up to `last`."""
        spaced: list[int] = []
        for start in starts:
            if spaced:
                start = max(start, spaced[-1] + span + self.space)
            if start > last:
                break
            spaced.append(start)
        return spaced

    def _marked(
        self,
        starts: Sequence[Sequence[int]],
        num_frames: Sequence[int],
        longest: int,
        span: int,
    ) -> torch.Tensor:
        """Spans as a mask; of an utterance too short for one, all the rest."""
        mask = torch.zeros(len(starts), longest, dtype=torch.bool)
        most = {
            self.small_span: self.num_small_spans,
            self.large_span: self.num_large_spans,
        }
        for row, (own, frames) in enumerate(
            zip(starts, num_frames, strict=True)
        ):
            whole = self._count(frames, span, most[span]) > 0
            for start in own:
                mask[row, start : start + span if whole else frames] = True
        return mask
