"""Emotion over time in a file: cells, segments, and what a picture needs."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, groupby
from pathlib import Path

import numpy as np
import torch

from speechbrain_e2v.corpora.audio import audio_blocks
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.speech_windows import Piece
from speechbrain_e2v.inference.streaming import (
    SILENCE,
    SILENCE_DB,
    Cell,
    StreamingClassifier,
)
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE

_ENVELOPE_SAMPLES = SAMPLE_RATE // 20
_NONE = -1  # instead of a class


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
        """Whether nobody speaks."""
        return self.confidence is None


@dataclass
class Timeline:
    """What was recognised in a file, hop by hop.

    Cell i of `posteriors` [N, C] begins at i * `hop`, which is a whole number
    of samples; nan where nobody speaks. `loudness` [N] is the root mean
    square, dB below full scale. `segments` cover the whole file and follow
    the speech, not the cells. `envelope` [M, 2] has the extremes of every
    50 ms, for drawing; `windows` went through the encoder. Times are seconds.
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
            start, end = index * self.hop, (index + 1) * self.hop
            rows.append(
                {
                    "start": round(start, 7),
                    "end": round(min(end, self.seconds), 7),
                    "loudness_db": round(float(self.loudness[index]), 1),
                    "posteriors": scores,
                }
            )
        return {
            "file": Path(self.source).name,
            "seconds": round(self.seconds, 7),
            "window": self.window,
            "hop": self.hop,
            "classes": list(self.classes),
            "segments": [asdict(segment) for segment in self.segments],
            "cells": rows,
        }


def segments_of(
    pieces: Iterable[Piece], classes: Sequence[str], samples: int
) -> list[Segment]:
    """Join neighbouring pieces with the same best class; silence between.

    >>> pieces = [Piece(0, 16000, np.array([0.9, 0.1])),
    ...           Piece(16000, 32000, np.array([0.7, 0.3]))]
    >>> [(s.end, s.label, round(s.confidence or 0, 2))
    ...  for s in segments_of(pieces, ["sad", "happy"], 40000)]
    [(2.0, 'sad', 0.8), (2.5, 'silence', 0)]
    """
    spans: list[tuple[int, int, int, float]] = []  # the last: best, its score
    end = 0
    for piece in pieces:
        if piece.start > end:
            spans.append((end, piece.start, _NONE, 0.0))
        best, end = int(piece.posteriors.argmax()), piece.end
        score = float(piece.posteriors[best])
        spans.append((piece.start, end, best, score))
    if end < samples:
        spans.append((end, samples, _NONE, 0.0))
    segments = []
    for best, neighbours in groupby(spans, key=lambda span: span[2]):
        group = list(neighbours)
        sizes = [stop - start for start, stop, _, _ in group]
        confidence = np.average([span[3] for span in group], weights=sizes)
        silent = best == _NONE
        segments.append(
            Segment(
                group[0][0] / SAMPLE_RATE,
                group[-1][1] / SAMPLE_RATE,
                SILENCE if silent else classes[best],
                None if silent else float(confidence),
            )
        )
    return segments


def emotion_timeline(
    classifier: EmotionClassifier,
    path: str | Path,
    window: float = 3.0,
    hop: float = 1.0,
    silence_db: float | None = SILENCE_DB,
    labels: Sequence[str] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    batch_windows: int = 16,
    channel: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> Timeline:
    """Recognise the emotion of every moment of a file.

    A `StreamingClassifier` is fed from the file and says what the arguments
    are; `channel`, 0 is the first, is read instead of the mean of all.
    `progress` is called with the seconds that were done since the last call.
    """
    stream = StreamingClassifier(
        classifier,
        window,
        hop,
        silence_db,
        labels,
        merge,
        batch_windows=batch_windows,
    )
    pieces: list[Piece] = []
    cells: list[Cell] = []
    envelope = _Envelope()
    for block in chain(audio_blocks(path, channel=channel), [None]):
        further = stream.advance(block)
        pieces += further[0]
        cells += further[1]
        envelope.add(block)
        if block is not None and progress is not None:
            progress(len(block) / SAMPLE_RATE)
    if stream.samples < MIN_SAMPLES:
        raise ValueError(
            f"{path}: {stream.samples} samples at 16 kHz are too few for one "
            f"frame ({MIN_SAMPLES}, 25 ms)."
        )
    silent = np.full(len(stream.classes), np.nan)
    return Timeline(
        str(path),
        stream.samples / SAMPLE_RATE,
        stream.hop_samples / SAMPLE_RATE,
        window,
        stream.classes,
        np.array(
            [silent if c.posteriors is None else c.posteriors for c in cells]
        ),
        np.array([cell.loudness_db for cell in cells]),
        segments_of(pieces, stream.classes, stream.samples),
        np.array(envelope.extremes).reshape(-1, 2),
        stream.windows,
    )


class _Envelope:
    """Smallest and largest sample in every 50 ms, one after the other."""

    def __init__(self) -> None:
        self.extremes = array("f")
        self._rest = torch.zeros(0)

    def add(self, block: torch.Tensor | None) -> None:
        """Take the next samples; None: there are no more."""
        if block is None:
            missing = -len(self._rest) % _ENVELOPE_SAMPLES
            block = self._rest.new_zeros(missing)
        wav = torch.cat([self._rest, block])
        whole = len(wav) // _ENVELOPE_SAMPLES * _ENVELOPE_SAMPLES
        low, high = wav[:whole].view(-1, _ENVELOPE_SAMPLES).aminmax(dim=1)
        self.extremes.extend(torch.stack([low, high], dim=1).flatten().tolist())
        self._rest = wav[whole:].clone()
