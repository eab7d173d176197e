"""Emotion over time: windows, smoothed posteriors, segments.

A file of any length is read a piece at a time. Every `hop` seconds make one
*cell*; the posterior of a cell is the mean over all windows that cover it,
so neighbours change smoothly. Equal neighbours become one segment.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad

from speechbrain_e2v.inference.audio_blocks import audio_blocks
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.label_view import LabelView, label_view
from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE

SILENCE = "silence"
_ENVELOPE_SECONDS = 0.05


@dataclass(frozen=True)
class Segment:
    """A stretch of time, seconds, with one class or ``silence``.

    `confidence` is the mean probability of the class; None for silence.
    """

    start: float
    end: float
    label: str
    confidence: float | None

    @property
    def silent(self) -> bool:
        """Whether it was left out as silence."""
        return self.confidence is None


@dataclass
class Timeline:
    """What was recognised in a file, cell by cell.

    `posteriors` [N, C] are nan in a silent cell; `loudness` [N] is the root
    mean square, dB below full scale; `segments` cover the whole file;
    `envelope` [M, 2] has the extremes of every 50 ms, for drawing; `windows`
    went through the encoder. Times are seconds.
    """

    source: str
    seconds: float
    hop: float
    window: float
    classes: tuple[str, ...]
    posteriors: np.ndarray
    loudness: np.ndarray
    segments: list[Segment] = field(repr=False)
    envelope: np.ndarray = field(repr=False)
    windows: int = 0

    def description(self) -> dict:
        """Everything but the envelope as JSON-able data."""
        rows = []
        for index, row in enumerate(self.posteriors):
            silent = bool(np.isnan(row[0]))
            scores = None if silent else [round(float(p), 5) for p in row]
            rows.append(
                {
                    "start": round(index * self.hop, 3),
                    "end": round(min((index + 1) * self.hop, self.seconds), 3),
                    "loudness_db": round(float(self.loudness[index]), 1),
                    "posteriors": scores,
                }
            )
        return {
            "file": Path(self.source).name,
            "seconds": round(self.seconds, 3),
            "window": self.window,
            "hop": self.hop,
            "classes": list(self.classes),
            "segments": [asdict(segment) for segment in self.segments],
            "cells": rows,
        }


def segments_of(
    posteriors: np.ndarray, classes: Sequence[str], hop: float, seconds: float
) -> list[Segment]:
    """Join neighbouring cells of `hop` seconds with the same best class.

    nan in a row of `posteriors` [N, C]: silence.

    >>> p = np.array([[0.9, 0.1], [0.7, 0.3], [np.nan, np.nan]])
    >>> [(s.end, s.label, s.confidence)
    ...  for s in segments_of(p, ["sad", "happy"], 1.0, 2.5)]
    [(2.0, 'sad', 0.8), (2.5, 'silence', None)]
    """
    best = [-1 if np.isnan(row[0]) else int(row.argmax()) for row in posteriors]
    segments = []
    first = 0
    for index in range(1, len(best) + 1):
        if index < len(best) and best[index] == best[first]:
            continue
        rows = posteriors[first:index]
        silent = best[first] < 0
        confidence = None if silent else float(rows[:, best[first]].mean())
        segments.append(
            Segment(
                round(first * hop, 6),
                round(min(index * hop, seconds), 6),
                SILENCE if silent else classes[best[first]],
                confidence,
            )
        )
        first = index
    return segments


def emotion_timeline(
    classifier: EmotionClassifier,
    path: str | Path,
    window: float = 3.0,
    hop: float = 1.0,
    silence_db: float | None = -50.0,
    labels: Sequence[str] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    batch_windows: int = 16,
    progress: Callable[[float], object] | None = None,
) -> Timeline:
    """Recognise the emotion of every moment of a file.

    `window` seconds are a multiple of `hop`. A cell less loud than
    `silence_db` (root mean square, dB below full scale) is silence; windows
    of silence alone are not computed; None: nothing is silence. `labels` and
    `merge` are those of `EmotionClassifier.classify`. `progress` is called
    with the seconds that were done since the last call.
    """
    cells = round(window / hop) if hop > 0 else 0
    hop_samples = round(hop * SAMPLE_RATE)
    if cells < 1 or abs(cells * hop - window) > 1e-6:
        raise ValueError(
            f"window is {window} s and hop {hop} s; window must be a multiple "
            "of hop, such as 3 and 1."
        )
    if hop_samples < MIN_SAMPLES:
        raise ValueError(
            f"hop is {hop} s; it must be at least "
            f"{MIN_SAMPLES / SAMPLE_RATE} s, one frame."
        )
    view = label_view(classifier.trained.labels, labels, merge)
    collector = _Collector(
        classifier.trained, view, cells, silence_db, batch_windows
    )
    envelope = array("f")
    samples = 0
    for cell in _cells(path, hop_samples, envelope):
        samples += len(cell)
        collector.add(cell)
        if progress is not None:
            progress(len(cell) / SAMPLE_RATE)
    if samples < MIN_SAMPLES:
        raise ValueError(
            f"{path}: {samples} samples at 16 kHz are too few for one frame "
            f"({MIN_SAMPLES}, 25 ms)."
        )
    collector.finish()
    seconds = samples / SAMPLE_RATE
    posteriors = collector.posteriors()
    return Timeline(
        str(path),
        seconds,
        hop,
        window,
        view.ids,
        posteriors,
        np.array(collector.loudness),
        segments_of(posteriors, view.ids, hop, seconds),
        np.array(envelope).reshape(-1, 2),
        collector.windows,
    )


def _cells(
    path: str | Path, size: int, envelope: array
) -> Iterator[torch.Tensor]:
    """Cut a file into cells; the last is what is left."""
    step = round(_ENVELOPE_SECONDS * SAMPLE_RATE)
    held = torch.zeros(0)
    for block in audio_blocks(path):
        held = torch.cat([held, block])
        whole = len(held) // size * size
        for start in range(0, whole, size):
            cell = held[start : start + size]
            envelope.extend(_extremes(cell, step))
            yield cell
        held = held[whole:].clone()
    if len(held):
        envelope.extend(_extremes(held, step))
        yield held


def _extremes(cell: torch.Tensor, step: int) -> list[float]:
    cell = pad(cell, (0, -len(cell) % step)).view(-1, step)
    return torch.stack(cell.aminmax(dim=1), dim=1).flatten().tolist()


class _Collector:
    """Windows over the last cells, and their posteriors spread over cells.

    What is kept of every cell lies in growing arrays: a small tensor a cell,
    scattered between the large ones of the encoder, would keep the memory of
    those from being used again.
    """

    def __init__(
        self,
        trained: TrainedClassifier,
        view: LabelView,
        cells: int,
        silence_db: float | None,
        batch_windows: int,
    ) -> None:
        self.trained, self.view = trained, view
        self.silence_db = -np.inf if silence_db is None else silence_db
        self.batch_windows = batch_windows
        self.loudness, self.windows = array("d"), 0
        self._cells = cells
        self._recent: deque[torch.Tensor] = deque(maxlen=cells)
        # Waveform, first cell, last cell + 1.
        self._pending: list[tuple[torch.Tensor, int, int]] = []
        self._sums, self._counts = array("d"), array("q")

    def add(self, cell: torch.Tensor) -> None:
        """Take the next cell and, once there are enough, a window."""
        power = float(cell.double().square().mean())
        self.loudness.append(10 * np.log10(max(power, 1e-12)))
        self._sums.extend([0.0] * len(self.view.ids))
        self._counts.append(0)
        self._recent.append(cell)
        if len(self._recent) == self._cells:
            self._window()

    def finish(self) -> None:
        """A file shorter than a window is one window; compute the rest."""
        if len(self._recent) < self._cells:
            self._window()
        self._compute()

    def posteriors(self) -> np.ndarray:
        """Mean over the windows of each cell, nan at silence, [N, C]."""
        rows = np.array(self._sums).reshape(-1, len(self.view.ids))
        with np.errstate(invalid="ignore"):  # 0 / 0: no window, silence
            rows /= np.array(self._counts)[:, None]
        rows[np.array(self.loudness) < self.silence_db] = np.nan
        return rows

    def _window(self) -> None:
        last = len(self.loudness)
        first = last - len(self._recent)
        if max(self.loudness[first:last]) < self.silence_db:
            return
        wav = torch.cat(tuple(self._recent))
        # The rest of a file may be less than a frame.
        wav = pad(wav, (0, max(0, MIN_SAMPLES - len(wav))))
        self._pending.append((wav, first, last))
        if len(self._pending) == self.batch_windows:
            self._compute()

    def _compute(self) -> None:
        if not self._pending:
            return
        waveforms = [wav for wav, _, _ in self._pending]
        rows, _ = self.trained.log_posteriors(waveforms)
        rows = self.view.probabilities(rows.double()).tolist()
        classes = len(self.view.ids)
        for row, (_, first, last) in zip(rows, self._pending, strict=True):
            for index in range(first, last):
                for offset, probability in enumerate(row):
                    self._sums[index * classes + offset] += probability
                self._counts[index] += 1
        self.windows += len(self._pending)
        self._pending = []
