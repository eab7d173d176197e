"""Emotion while it is heard, for every hop on the clock.

The posterior of a *cell*, one hop on the clock, is the mean over the pieces of
speech in it; `speech_windows` says what pieces are.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

from speechbrain_e2v.corpora.resampling import StreamResampler
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.label_view import label_view
from speechbrain_e2v.inference.speech import SpeechDetector
from speechbrain_e2v.inference.speech_windows import (
    Piece,
    SpeechWindows,
    Window,
)
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE

SILENCE = "silence"
SILENCE_DB = -70.0


@dataclass(frozen=True)
class Cell:
    """One hop of a stream: seconds, loudness, and posteriors [C] of its speech.

    `loudness_db` is the root mean square below full scale; `posteriors` are
    None where nobody speaks.
    """

    start: float
    end: float
    loudness_db: float
    classes: tuple[str, ...]
    posteriors: np.ndarray | None

    @property
    def label(self) -> str:
        """The best class, or ``silence``."""
        if self.posteriors is None:
            return SILENCE
        return self.classes[int(self.posteriors.argmax())]

    def row(self) -> dict:
        """The cell as JSON-able data."""
        scores = None
        if self.posteriors is not None:
            values = (round(float(p), 6) for p in self.posteriors)
            scores = dict(zip(self.classes, values, strict=True))
        return {
            "start": self.start,
            "end": self.end,
            "label": self.label,
            "confidence": scores and scores[self.label],
            "loudness_db": round(self.loudness_db, 1),
            "scores": scores,
        }


class StreamingClassifier:
    """Recognises the emotion of every hop of a stream.

    Feed waveforms of any length as they come; cells come back once they are
    decided, `delay` seconds late at most. Memory does not grow. The cells are
    those of `emotion_timeline` for the same samples in a file.

    `window` seconds are a multiple of `hop`. Below `silence_db` (root mean
    square, dB below full scale) nothing is speech; above it, what is louder
    than the noise is (`SpeechDetector`); None: everything. `labels` and
    `merge` are those of `EmotionClassifier.classify`. `batch_windows` are
    computed together, which is faster and later.
    """

    def __init__(
        self,
        classifier: EmotionClassifier,
        window: float = 3.0,
        hop: float = 1.0,
        silence_db: float | None = SILENCE_DB,
        labels: Sequence[str] | None = None,
        merge: Mapping[str, Sequence[str]] | None = None,
        sample_rate: int = SAMPLE_RATE,
        batch_windows: int = 1,
    ) -> None:
        self.hop_samples, cells = _sizes(window, hop)
        self._trained = classifier.trained
        self._view = label_view(classifier.trained.labels, labels, merge)
        self._resampler = StreamResampler(sample_rate)
        self._detector = SpeechDetector(silence_db)
        self._speech = SpeechWindows(self.hop_samples, cells)
        self._clock = _Clock(self.hop_samples, self.classes)
        self._batch_windows = batch_windows
        self.samples = 0  # at 16,000 Hz, so far
        self.windows = 0  # that went through the encoder

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the posteriors."""
        return self._view.names

    def feed(self, wav: torch.Tensor | np.ndarray) -> list[Cell]:
        """Take the next samples [S]; give the cells that are decided by now.

        Raises ValueError for samples that are not finite, or not [S] floats.
        """
        return self.advance(_checked(wav))[1]

    def finish(self) -> list[Cell]:
        """End the stream and give its last cells."""
        return self.advance(None)[1]

    @torch.no_grad()
    def advance(
        self, wav: torch.Tensor | None
    ) -> tuple[list[Piece], list[Cell]]:
        """Take samples [S], or None at the end; give pieces and cells."""
        ended = wav is None
        if wav is None:
            wav = self._resampler.finish()
        else:
            wav = self._resampler.add(wav)
        self.samples += len(wav)
        self._clock.add_audio(wav)
        self._speech.add_audio(wav)
        stretches = self._detector.add(wav)
        if ended:
            stretches += self._detector.finish()
        for samples, speech in stretches:
            self._speech.add_stretch(samples, speech)
        if ended:
            self._speech.add_stretch(0, False)
        pending = self._speech.pending
        while len(pending) >= self._batch_windows or (ended and pending):
            count = min(self._batch_windows, len(pending))
            self._compute([pending.popleft() for _ in range(count)])
        pieces = self._speech.take_pieces()
        for piece in pieces:
            self._clock.add_piece(piece)
        until = None if ended else self._speech.done
        return pieces, self._clock.take_cells(until)

    def _compute(self, windows: list[Window]) -> None:
        # What is shorter than a frame is filled up.
        waveforms = [
            pad(w.wav, (0, max(0, MIN_SAMPLES - len(w.wav)))) for w in windows
        ]
        rows, _ = self._trained.log_posteriors(waveforms)
        table = self._view.probabilities(rows.double()).cpu().numpy()
        if not np.isfinite(table).all():
            raise ValueError(
                "the scores are not finite; check this audio, and get the "
                "classifier again from where it was written."
            )
        for window, row in zip(windows, table, strict=True):
            window.run.rows.append(row)
            window.run.computed += 1
        self.windows += len(windows)


def _sizes(window: float, hop: float) -> tuple[int, int]:
    """Samples of a hop, and hops of a window."""
    cells = round(window / hop) if hop > 0 else 0
    if cells < 1 or abs(cells * hop - window) * SAMPLE_RATE > 0.5:
        raise ValueError(
            f"window is {window} s and hop {hop} s; window must be a multiple "
            "of hop, such as 3 and 1."
        )
    hop_samples = round(hop * SAMPLE_RATE)
    if hop_samples < MIN_SAMPLES:
        raise ValueError(
            f"hop is {hop} s; it must be at least "
            f"{MIN_SAMPLES / SAMPLE_RATE} s, one frame."
        )
    return hop_samples, cells


def _checked(wav: torch.Tensor | np.ndarray) -> torch.Tensor:
    wav = torch.as_tensor(wav).detach().cpu()
    if wav.dim() != 1 or not wav.is_floating_point():
        raise ValueError(
            f"samples are {wav.dtype} {tuple(wav.shape)}; give floats [S] "
            "between -1 and 1, one channel."
        )
    if not torch.isfinite(wav).all():
        index = int((~torch.isfinite(wav)).nonzero()[0])
        raise ValueError(f"sample {index} of this block is {wav[index]:g}.")
    return wav.float()


class _Clock:
    """Cells of one hop, put together from audio and pieces."""

    def __init__(self, hop: int, classes: tuple[str, ...]) -> None:
        self._hop, self._classes = hop, classes
        self._samples = self._first = 0  # so far; cells given
        self._energies: deque[float] = deque()  # of cells not given yet
        self._speech: deque[int] = deque()  # samples of it
        self._sums: deque[np.ndarray] = deque()

    def add_audio(self, wav: torch.Tensor) -> None:
        squares = wav.double().square()
        start = 0
        while start < len(wav):
            filled = self._samples % self._hop
            if not filled:
                self._energies.append(0.0)
                self._speech.append(0)
                self._sums.append(np.zeros(len(self._classes)))
            stop = min(len(wav), start + self._hop - filled)
            self._energies[-1] += float(squares[start:stop].sum())
            self._samples += stop - start
            start = stop

    def add_piece(self, piece: Piece) -> None:
        """Spread a piece over its cells, by the samples in each."""
        for cell in range(piece.start // self._hop, -(-piece.end // self._hop)):
            start, end = cell * self._hop, (cell + 1) * self._hop
            samples = min(end, piece.end) - max(start, piece.start)
            self._speech[cell - self._first] += samples
            self._sums[cell - self._first] += samples * piece.posteriors

    def take_cells(self, until: int | None) -> list[Cell]:
        """Give the cells that end by sample `until`; None: all that are."""
        found = []
        while self._energies:
            start = self._first * self._hop
            end = min(start + self._hop, self._samples)
            if until is not None and start + self._hop > until:
                break
            power = self._energies.popleft() / (end - start)
            speech, total = self._speech.popleft(), self._sums.popleft()
            found.append(
                Cell(
                    start / SAMPLE_RATE,
                    end / SAMPLE_RATE,
                    10 * float(np.log10(max(power, 1e-12))),
                    self._classes,
                    total / speech if speech else None,
                )
            )
            self._first += 1
        return found
