"""From syllables to control tracks to a waveform."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from speechbrain_e2v.corpora.synthetic.prosody import Manner, Speaker
from speechbrain_e2v.corpora.synthetic.voice import (
    BLOCK,
    NOISE_COLOURS,
    SAMPLE_RATE,
    Tracks,
    VoiceQuality,
    render,
)

BLOCKS_PER_SECOND = SAMPLE_RATE / BLOCK
SYLLABLES_PER_SECOND = 4.6  # of a neutral utterance
BANDWIDTHS = np.array([65.0, 90.0, 130.0, 220.0, 280.0])  # Hz
LEVEL = 0.022  # amplitude of a neutral voice, so that no peak clips

# F1, F2, F3 of a man, Hz (close to Peterson and Barney 1952).
VOWELS = {
    "a": (750, 1250, 2550),
    "e": (500, 1850, 2550),
    "i": (290, 2250, 2950),
    "o": (500, 900, 2450),
    "u": (320, 850, 2300),
    "@": (500, 1450, 2450),
}


@dataclass(frozen=True)
class Segment:
    """A stretch of sound: length in s, amplitudes, F1 to F3, noise colour."""

    seconds: float
    voicing: float
    formants: tuple[float, float, float]
    colour: str = ""
    noise: float = 0.0


CONSONANTS = {
    "": (),
    "m": (Segment(0.07, 0.35, (250, 1100, 2200)),),
    "n": (Segment(0.065, 0.35, (250, 1500, 2500)),),
    "l": (Segment(0.06, 0.5, (360, 1200, 2700)),),
    "w": (Segment(0.06, 0.45, (300, 700, 2300)),),
    "y": (Segment(0.055, 0.5, (280, 2200, 3000)),),
    "f": (Segment(0.09, 0.0, (350, 1000, 2400), "labial", 0.18),),
    "s": (Segment(0.1, 0.0, (350, 1700, 2600), "sibilant", 0.42),),
    "S": (Segment(0.1, 0.0, (350, 1800, 2500), "postalveolar", 0.48),),
    "z": (Segment(0.08, 0.25, (300, 1700, 2600), "sibilant", 0.18),),
    "p": (
        Segment(0.06, 0.0, (350, 900, 2300)),
        Segment(0.02, 0.0, (350, 900, 2300), "labial", 0.48),
    ),
    "t": (
        Segment(0.055, 0.0, (350, 1700, 2600)),
        Segment(0.02, 0.0, (350, 1700, 2600), "alveolar", 0.54),
    ),
    "k": (
        Segment(0.06, 0.0, (350, 1900, 2300)),
        Segment(0.025, 0.0, (350, 1900, 2300), "velar", 0.54),
    ),
    "d": (
        Segment(0.05, 0.12, (250, 1700, 2600)),
        Segment(0.01, 0.2, (300, 1700, 2600), "alveolar", 0.24),
    ),
}


@dataclass(frozen=True)
class Syllable:
    """Onset, vowel, whether it carries an accent, whether it ends a word."""

    onset: str
    vowel: str
    accent: bool
    word_end: bool


def compose_sentence(
    index: int, seconds: tuple[float, float], seed: int
) -> tuple[Syllable, ...]:
    """The syllables of sentence ``index``, the same for all speakers.

    >>> sentence = compose_sentence(0, (1.2, 3.0), seed=0)
    >>> 5 <= len(sentence) <= 12
    True
    """
    generator = np.random.default_rng([seed, 2, index])
    shortest, longest = seconds
    middle = generator.uniform(0.75, 1.25) * 0.5 * (shortest + longest)
    count = max(2, round((middle - 0.2) * SYLLABLES_PER_SECOND))
    onsets = generator.choice(list(CONSONANTS), size=count)
    vowels = generator.choice(list(VOWELS), size=count)
    first_accent = int(generator.integers(0, 2))
    return tuple(
        Syllable(
            onset=str(onsets[number]),
            vowel=str(vowels[number]),
            accent=number % 3 == first_accent,
            word_end=number % 2 == 1,
        )
        for number in range(count)
    )


def lay_out(
    sentence: Sequence[Syllable],
    manner: Manner,
    seconds: tuple[float, float],
    generator: np.random.Generator,
) -> list[tuple[Segment, int, bool]]:
    """Segments in time: (segment, blocks, is an accented vowel), one a row."""
    silence = Segment(1.0, 0.0, VOWELS["@"])
    rows = [(silence, generator.uniform(0.05, 0.1), False)]
    tempo = 2**-manner.rate
    for number, syllable in enumerate(sentence):
        for segment in CONSONANTS[syllable.onset]:
            rows.append((segment, segment.seconds * tempo, False))
        length = 0.13 * (1.3 if syllable.accent else 0.95)
        last = number == len(sentence) - 1
        length *= (1.5 if last else 1.0) * generator.uniform(0.85, 1.15)
        vowel = Segment(length, 1.0, VOWELS[syllable.vowel])
        rows.append((vowel, length * tempo, syllable.accent))
        if syllable.word_end and generator.uniform() < manner.pauses:
            rows.append((silence, generator.uniform(0.1, 0.25), False))
    rows.append((silence, generator.uniform(0.05, 0.1), False))

    lengths = np.array([length for _, length, _ in rows])
    total = np.clip(lengths.sum(), *seconds)
    # Rounding the borders, not the lengths, keeps the sum.
    blocks = int(total * BLOCKS_PER_SECOND)
    borders = np.round(np.cumsum(lengths) / lengths.sum() * blocks)
    counts = np.diff(borders, prepend=0).astype(int)
    return [
        (segment, count, accent)
        for (segment, _, accent), count in zip(rows, counts, strict=True)
    ]


def pitch_contour(
    accents: np.ndarray, manner: Manner, generator: np.random.Generator
) -> np.ndarray:
    """F0 in semitones around the speaker's median, one per block, [N]."""
    blocks = len(accents)
    time = np.arange(blocks) / BLOCKS_PER_SECOND
    span = 2**manner.span
    shape = 4.0 * gaussian_filter1d(accents, 0.06 * BLOCKS_PER_SECOND)
    shape = shape + 1.5 * np.exp(-time / 0.4)
    wander = gaussian_filter1d(
        generator.standard_normal(blocks), 0.06 * BLOCKS_PER_SECOND
    )
    wander = wander / wander.std()
    tremor = np.sin(2 * np.pi * (7 * time + generator.uniform()))
    ending = np.clip((time - time[-1] + 0.4) / 0.3, 0, 1)
    return (
        manner.pitch
        + manner.slope * (time - time[-1] / 2)
        + span * (shape - shape.mean() + 0.4 * wander)
        + manner.final * ending
        + max(manner.tremor, 0.0) * tremor
    )


def speak(
    sentence: Sequence[Syllable],
    speaker: Speaker,
    manner: Manner,
    seconds: tuple[float, float],
    generator: np.random.Generator,
) -> np.ndarray:
    """Waveform of one utterance.

    >>> from speechbrain_e2v.corpora.synthetic.prosody import draw_speaker
    >>> waveform = speak(
    ...     compose_sentence(0, (1.0, 1.0), seed=0), draw_speaker(0, seed=0),
    ...     Manner(), (1.0, 1.0), np.random.default_rng(0),
    ... )
    >>> waveform.shape
    (16000,)
    """
    rows = lay_out(sentence, manner, seconds, generator)
    counts = [count for _, count, _ in rows]
    segments = [segment for segment, _, _ in rows]

    def track(values: Sequence, blur: float) -> np.ndarray:
        # Blurred over some ms, a border is a movement of articulators.
        repeated = np.repeat(np.array(values, dtype=float), counts, axis=0)
        return gaussian_filter1d(repeated, blur * BLOCKS_PER_SECOND, axis=0)

    accents = track([accent for _, _, accent in rows], 0.004)
    semitones = pitch_contour(accents, manner, generator)
    decibels = manner.loudness + 3.0 * accents
    decibels = decibels - 3.0 * np.linspace(-0.5, 0.5, len(accents))
    noise = {
        colour: track(
            [s.noise if s.colour == colour else 0.0 for s in segments], 0.006
        )
        # Frication grows less with effort than the voice does.
        * 10 ** (0.7 * decibels / 20)
        for colour in NOISE_COLOURS
        if any(s.colour == colour for s in segments)
    }
    formants = track([(*s.formants, 3450, 4400) for s in segments], 0.02)
    formants = formants * (speaker.tract * 2**manner.formants)
    tracks = Tracks(
        f0=np.clip(speaker.pitch * 2 ** (semitones / 12), 55.0, 600.0),
        voicing=track([s.voicing for s in segments], 0.008)
        * 10 ** (decibels / 20),
        noise=noise,
        formants=np.minimum(formants, 7000.0),
        bandwidths=np.broadcast_to(BANDWIDTHS, formants.shape),
    )
    quality = VoiceQuality(
        open_quotient=float(np.clip(0.6 + manner.openness, 0.35, 0.85)),
        tilt=float(np.clip(3000.0 * 2**manner.tilt, 800.0, 7500.0)),
        jitter=float(np.clip(0.006 * 2**manner.roughness, 0.0, 0.04)),
        shimmer=float(np.clip(0.04 * 2**manner.roughness, 0.0, 0.3)),
        breath=float(np.clip(0.02 * 2**manner.breath, 0.0, 0.25)),
    )
    waveform = LEVEL * render(tracks, quality, generator)
    waveform[1:] = waveform[1:] - speaker.colour * waveform[:-1]
    background = generator.standard_normal(len(waveform))
    waveform = waveform + 10 ** (speaker.noise / 20) * background
    return waveform * min(1.0, 0.95 / np.abs(waveform).max())
