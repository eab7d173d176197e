"""Speech in windows that overlap, and what they say of every piece of it.

Every stretch of speech is cut into pieces of one hop and classified in
windows of several pieces, which never reach over a pause. The posterior of a
piece is the mean over the windows that cover it.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch


class Piece(NamedTuple):
    """Some speech, samples at 16,000 Hz, and its posteriors [C]."""

    start: int
    end: int
    posteriors: np.ndarray


class Run:
    """A stretch of speech: its pieces and the rows of its windows."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start  # samples; the end is that so far
        self.closed = False
        self.ends: deque[int] = deque()  # of pieces that were not given
        self.pieces = self.given = 0
        self.windows = self.computed = 0
        self.rows: deque[np.ndarray] = deque()  # of the last windows


class Window(NamedTuple):
    """What is classified: speech [S], 16,000 Hz, and the run it is of."""

    wav: torch.Tensor
    run: Run


class SpeechWindows:
    """Speech as windows to compute, and then as pieces with posteriors.

    `hop` is in samples; a window is `cells` hops. Who computes the windows in
    `pending` appends their posteriors to the `rows` of their runs.
    """

    def __init__(self, hop: int, cells: int) -> None:
        self._hop, self._cells = hop, cells
        self._wav, self._origin = torch.zeros(0), 0  # what is still needed
        self._decided = 0  # samples
        self._runs: deque[Run] = deque()
        self.pending: deque[Window] = deque()

    @property
    def done(self) -> int:
        """Sample before which every piece was given."""
        if not self._runs:
            return self._decided
        return self._runs[0].start + self._runs[0].given * self._hop

    def add_audio(self, wav: torch.Tensor) -> None:
        """Take the next samples [S]; `add_stretch` says what they are."""
        self._wav = torch.cat([self._wav, wav])

    def add_stretch(self, samples: int, speech: bool) -> None:
        """Take what the next samples are; cut the windows that are whole."""
        run = self._runs[-1] if self._runs else None
        if run is None or run.closed:
            run = Run(self._decided)
            if speech:
                self._runs.append(run)
        self._decided += samples
        if speech:
            run.end = self._decided
            self._cut(run)
        elif run.end > run.start:
            run.closed = True
            self._cut(run)
        needed = self._decided
        if not run.closed and run.end > run.start:
            needed = run.start + run.windows * self._hop
        self._wav = self._wav[needed - self._origin :].clone()
        self._origin = needed

    def _cut(self, run: Run) -> None:
        # The last piece is half a hop to one and a half: no odd rest.
        end = run.start + (run.pieces + 1) * self._hop
        while 2 * (run.end - end) >= self._hop:
            self._add_piece(run, end)
            end += self._hop
        if run.closed:
            self._add_piece(run, run.end)
            if not run.windows:
                self._add_window(run, run.end)

    def _add_piece(self, run: Run, end: int) -> None:
        run.ends.append(end)
        run.pieces += 1
        if run.pieces >= self._cells:
            self._add_window(run, end)

    def _add_window(self, run: Run, end: int) -> None:
        start = run.start + run.windows * self._hop
        wav = self._wav[start - self._origin : end - self._origin].clone()
        self.pending.append(Window(wav, run))
        run.windows += 1

    def take_pieces(self) -> list[Piece]:
        """Give the pieces whose windows are all computed."""
        found = []
        while self._runs:
            run = self._runs[0]
            whole = run.closed and run.computed == run.windows
            while run.ends and (whole or run.given < run.computed):
                found.append(self._piece(run))
            if not whole:
                break
            self._runs.popleft()
        return found

    def _piece(self, run: Run) -> Piece:
        index = run.given
        first = run.computed - len(run.rows)  # window of the first row
        oldest = max(0, index + 1 - self._cells)
        for _ in range(oldest - first):
            run.rows.popleft()
        last = min(index + 1, run.computed) - max(first, oldest)
        rows = [row for row, _ in zip(run.rows, range(last), strict=False)]
        start = run.start + index * self._hop
        run.given += 1
        return Piece(start, run.ends.popleft(), np.mean(rows, axis=0))
