"""Pieces of recordings in which somebody speaks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import audio_blocks, read_audio
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.inference.speech import SpeechDetector, Stretch, joined
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


@dataclass(frozen=True)
class PieceLengths:
    """Seconds of a piece of speech.

    A ``pause`` that is shorter divides nothing, as long as the piece stays
    below ``longest``; what is longer is cut into equal parts; what is shorter
    than ``shortest`` is left out.

    >>> PieceLengths(longest=0.5)
    Traceback (most recent call last):
    ...
    ValueError: pieces of 1 to 0.5 s: longest must be twice shortest or more
    """

    shortest: float = 1.0
    longest: float = 12.0
    pause: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < 2 * self.shortest <= self.longest:
            raise ValueError(
                f"pieces of {self.shortest:g} to {self.longest:g} s: longest "
                "must be twice shortest or more"
            )

    def cut(self, stretches: Sequence[Stretch]) -> list[tuple[float, float]]:
        """Start and end, seconds, of the pieces of consecutive stretches."""
        spans: list[tuple[float, float]] = []
        begin = 0.0
        for stretch in stretches:
            end = begin + stretch.samples / SAMPLE_RATE
            if stretch.speech:
                near = spans and begin - spans[-1][1] < self.pause
                if near and end - spans[-1][0] <= self.longest:
                    spans[-1] = (spans[-1][0], end)
                else:
                    spans.append((begin, end))
            begin = end
        return [
            part
            for start, end in spans
            if end - start >= self.shortest
            for part in self._parts(start, end)
        ]

    def _parts(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        count = -(-(end - start) // self.longest)
        size = (end - start) / count
        for index in range(int(count)):
            yield start + index * size, start + (index + 1) * size


def speech_pieces(
    utterances: Sequence[Utterance],
    lengths: PieceLengths,
    silence_db: float,
    progress: bool = True,
) -> list[Utterance]:
    """Pieces with speech of unlabelled utterances, which name their source.

    Ids are ``<id>@<start>-<end>``; ``extra["source"]`` is the id.
    """
    found = []
    for utterance in progress_bar(
        utterances, desc="speech", unit="file", delay=1, disable=not progress
    ):
        offset = utterance.start or 0.0
        for start, end in lengths.cut(_stretches(utterance, silence_db)):
            first, last = round(offset + start, 3), round(offset + end, 3)
            seconds = last - first
            found.append(
                replace(
                    utterance,
                    id=f"{utterance.id}@{first:.3f}-{last:.3f}",
                    start=first,
                    stop=last,
                    duration=seconds,
                    num_samples=round(seconds * utterance.sample_rate),
                    extra={**utterance.extra, "source": utterance.id},
                )
            )
    return found


def _stretches(utterance: Utterance, silence_db: float) -> list[Stretch]:
    detector = SpeechDetector(silence_db)
    if utterance.start is None and utterance.stop is None:
        blocks = audio_blocks(utterance.wav)
    else:
        piece = read_audio(utterance.wav, utterance.start, utterance.stop)
        blocks = iter([piece])
    found = [stretch for block in blocks for stretch in detector.add(block)]
    return joined(found + detector.finish())
