"""Emotion over time: windows, smoothed posteriors, segments.

A file of any length is read a piece at a time. Every `hop` seconds make one
*cell*; the posterior of a cell is the mean over all windows that cover it,
so neighbours change smoothly. Equal neighbours become one segment.
"""

from array import array
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from speechbrain_e2v.inference.audio_blocks import audio_blocks
from speechbrain_e2v.inference.label_view import label_view
from speechbrain_e2v.inference.segments import segments_of
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE

_ENVELOPE_SECONDS = 0.05


@dataclass
class Timeline:
    """What was recognised in a file, cell by cell.

    Arguments
    ---------
    source : str
    seconds : float
        Length of the file.
    hop, window : float
        Seconds.
    classes : tuple of str
    posteriors : numpy.ndarray, [N, C]
        Of each cell; nan where it is silent.
    loudness : numpy.ndarray, [N]
        Root mean square of each cell, dB below full scale.
    segments : list of Segment
        Covering the whole file.
    envelope : numpy.ndarray, [M, 2]
        Smallest and largest sample in every 50 ms, for drawing.
    windows : int
        How many windows went through the encoder.
    """

    source: str
    seconds: float
    hop: float
    window: float
    classes: tuple
    posteriors: np.ndarray
    loudness: np.ndarray
    segments: list = field(repr=False)
    envelope: np.ndarray = field(repr=False)
    windows: int = 0

    def description(self):
        """Everything but the envelope as JSON-able data.

        Returns
        -------
        dict
        """
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


def emotion_timeline(
    classifier,
    path,
    window=3.0,
    hop=1.0,
    silence_db=-50.0,
    labels=None,
    merge=None,
    batch_windows=16,
    progress=None,
):
    """Recognise the emotion of every moment of a file.

    Arguments
    ---------
    classifier : EmotionClassifier
    path : str or Path
    window, hop : float
        Seconds; `window` is a multiple of `hop`.
    silence_db : float or None
        A cell less loud (root mean square, dB below full scale) is silence;
        windows of silence alone are not computed. None: nothing is silence.
    labels, merge
        As for `EmotionClassifier.classify`.
    batch_windows : int
        Windows computed together.
    progress : callable or None
        Called with the seconds that were done since the last call.

    Returns
    -------
    Timeline

    Raises
    ------
    AudioError
    ValueError
        For a window that is no multiple of the hop, or too short a file.
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


def _cells(path, size, envelope):
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


def _extremes(cell, step):
    cell = pad(cell, (0, -len(cell) % step)).view(-1, step)
    return torch.stack(cell.aminmax(dim=1), dim=1).flatten().tolist()


class _Collector:
    """Windows over the last cells, and their posteriors spread over cells.

    What is kept of every cell lies in growing arrays: a small tensor a cell,
    scattered between the large ones of the encoder, would keep the memory of
    those from being used again.
    """

    def __init__(self, trained, view, cells, silence_db, batch_windows):
        self.trained, self.view = trained, view
        self.silence_db = -np.inf if silence_db is None else silence_db
        self.batch_windows = batch_windows
        self.loudness, self.windows = array("d"), 0
        self._recent = deque(maxlen=cells)
        self._pending = []  # (waveform, first cell, last cell + 1)
        self._sums, self._counts = array("d"), array("q")

    def add(self, cell):
        """Take the next cell and, once there are enough, a window."""
        power = float(cell.double().square().mean())
        self.loudness.append(10 * np.log10(max(power, 1e-12)))
        self._sums.extend([0.0] * len(self.view.ids))
        self._counts.append(0)
        self._recent.append(cell)
        if len(self._recent) == self._recent.maxlen:
            self._window()

    def finish(self):
        """A file shorter than a window is one window; compute the rest."""
        if len(self._recent) < self._recent.maxlen:
            self._window()
        self._compute()

    def posteriors(self):
        """Mean over the windows of each cell, nan at silence, [N, C]."""
        rows = np.array(self._sums).reshape(-1, len(self.view.ids))
        with np.errstate(invalid="ignore"):  # 0 / 0: no window, silence
            rows /= np.array(self._counts)[:, None]
        rows[np.array(self.loudness) < self.silence_db] = np.nan
        return rows

    def _window(self):
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

    def _compute(self):
        if not self._pending:
            return
        waveforms = [wav for wav, _, _ in self._pending]
        samples = torch.tensor([len(wav) for wav in waveforms])
        batch = pad_sequence(waveforms, batch_first=True)
        rows, _ = self.trained.log_posteriors(batch, samples)
        rows = self.view.probabilities(rows.double()).tolist()
        classes = len(self.view.ids)
        for row, (_, first, last) in zip(rows, self._pending, strict=True):
            for index in range(first, last):
                for offset, probability in enumerate(row):
                    self._sums[index * classes + offset] += probability
                self._counts[index] += 1
        self.windows += len(self._pending)
        self._pending = []
