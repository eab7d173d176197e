"""Source and filter: control tracks in, waveform out.

The source is a train of glottal pulses, the filter a cascade of formant
resonators (Fant 1960; Klatt 1980), frication is shaped noise. Control tracks
have one value per block of 8 ms; inside a block they are interpolated
(source) or constant (resonators, whose memory runs on across blocks).
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter, sosfilt

SAMPLE_RATE = 16000
BLOCK = 128  # samples, 8 ms

# Colours of frication and bursts: centre and bandwidth in Hz.
NOISE_COLOURS = {
    "labial": (900.0, 900.0),
    "velar": (1900.0, 700.0),
    "alveolar": (3900.0, 1500.0),
    "postalveolar": (2900.0, 900.0),
    "sibilant": (5600.0, 1300.0),
}


@dataclass(frozen=True)
class VoiceQuality:
    """What stays the same throughout an utterance."""

    open_quotient: float  # share of a period, 0.3 (pressed) to 0.9 (breathy)
    tilt: float  # corner of the source's two equal poles, Hz; low = soft
    jitter: float  # deviation of the period marks, share of a period
    shimmer: float  # deviation of the amplitudes, share of the amplitude
    breath: float  # aspiration relative to the pulses


@dataclass(frozen=True)
class Tracks:
    """Control tracks of an utterance of N blocks."""

    f0: np.ndarray  # [N], Hz, also where nothing is voiced
    voicing: np.ndarray  # [N], amplitude of the glottal source, linear
    noise: dict[str, np.ndarray]  # colour to amplitude [N]
    formants: np.ndarray  # [N, 5], Hz
    bandwidths: np.ndarray  # [N, 5], Hz


def per_sample(track: np.ndarray) -> np.ndarray:
    """One value per sample from one per block, linearly between centres."""
    centres = (np.arange(len(track)) + 0.5) * BLOCK
    return np.interp(np.arange(len(track) * BLOCK), centres, track)


def glottal_pulses(
    f0: np.ndarray, quality: VoiceQuality, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the glottal flow, and how open the glottis is.

    A pulse rises as half a cosine over two thirds of the open phase and falls
    as a quarter of one (Rosenberg 1971, shape C). The flow is sampled and
    then differenced, which damps the aliases of the sharp closure.

    >>> quality = VoiceQuality(0.6, 2000.0, 0.0, 0.0, 0.0)
    >>> f0 = np.full(16000, 100.0)
    >>> pulses, _ = glottal_pulses(f0, quality, np.random.default_rng(0))
    >>> int(np.argmax(np.abs(np.fft.rfft(pulses))))
    100
    """
    phase = np.cumsum(f0) / SAMPLE_RATE
    cycle = np.floor(phase).astype(np.int64)
    count = int(cycle[-1]) + 3
    marks = quality.jitter * generator.standard_normal(count)
    within = phase - cycle
    phase = phase + marks[cycle] * (1 - within) + marks[cycle + 1] * within
    cycle = np.maximum(np.floor(phase).astype(np.int64), 0)
    within = np.clip(phase - cycle, 0.0, 1.0)

    closing_at = quality.open_quotient * 2 / 3
    falling = quality.open_quotient - closing_at
    rise = 0.5 - 0.5 * np.cos(np.pi * within / closing_at)
    fall = np.cos(0.5 * np.pi * (within - closing_at) / falling)
    opening = np.where(within < closing_at, rise, fall)
    opening = np.where(within < quality.open_quotient, opening, 0.0)

    amplitudes = 1 + quality.shimmer * generator.standard_normal(count)
    flow = opening * np.maximum(amplitudes, 0.1)[np.minimum(cycle, count - 1)]
    derivative = np.diff(flow, prepend=flow[0]) * SAMPLE_RATE / f0
    return derivative / 3.0, opening


def resonators(frequencies: np.ndarray, bandwidths: np.ndarray) -> np.ndarray:
    """Second-order sections [..., 6] of resonators with unit gain at 0 Hz."""
    radius = np.exp(-np.pi * bandwidths / SAMPLE_RATE)
    first = -2 * radius * np.cos(2 * np.pi * frequencies / SAMPLE_RATE)
    second = radius**2
    sections = np.zeros((*np.shape(frequencies), 6))
    sections[..., 0] = 1 + first + second
    sections[..., 3] = 1
    sections[..., 4] = first
    sections[..., 5] = second
    return sections


def formant_filter(
    source: np.ndarray, formants: np.ndarray, bandwidths: np.ndarray
) -> np.ndarray:
    """Runs a source [N * 128] through resonators that move every block.

    >>> formants = np.tile([500.0, 1500.0], (10, 1))
    >>> filtered = formant_filter(np.ones(1280), formants, 0 * formants + 80)
    >>> round(float(filtered[-1]), 2)
    1.0
    """
    sections = resonators(formants, bandwidths)
    state = np.zeros((formants.shape[1], 2))
    blocks = source.reshape(len(formants), BLOCK)
    filtered = np.empty_like(blocks)
    for index, block in enumerate(blocks):
        filtered[index], state = sosfilt(sections[index], block, zi=state)
    return filtered.reshape(-1)


def coloured_noise(
    colour: str, samples: int, generator: np.random.Generator
) -> np.ndarray:
    """Noise around one spectral centre, unit standard deviation, [samples]."""
    centre, width = NOISE_COLOURS[colour]
    section = resonators(np.array(centre), np.array(width))
    noise = generator.standard_normal(samples)
    noise = lfilter(section[:3], section[3:], np.diff(noise, prepend=0.0))
    return noise / noise.std()


def render(
    tracks: Tracks, quality: VoiceQuality, generator: np.random.Generator
) -> np.ndarray:
    """Waveform of an utterance, [N * 128], in arbitrary units.

    >>> formants = np.tile([500.0, 1500.0, 2500.0, 3500.0, 4500.0], (100, 1))
    >>> tracks = Tracks(
    ...     np.full(100, 120.0), np.ones(100), {}, formants, 0.06 * formants
    ... )
    >>> quality = VoiceQuality(0.6, 2000.0, 0.01, 0.05, 0.02)
    >>> render(tracks, quality, np.random.default_rng(0)).shape
    (12800,)
    """
    samples = len(tracks.f0) * BLOCK
    pulses, opening = glottal_pulses(per_sample(tracks.f0), quality, generator)
    aspiration = generator.standard_normal(samples) * (0.2 + opening)
    decay = np.exp(-2 * np.pi * quality.tilt / SAMPLE_RATE)
    source = lfilter([(1 - decay) ** 2], [1, -2 * decay, decay**2], pulses)
    source = source + quality.breath * aspiration
    source = source * per_sample(tracks.voicing)
    waveform = formant_filter(source, tracks.formants, tracks.bandwidths)
    for colour, amplitude in tracks.noise.items():
        noise = coloured_noise(colour, samples, generator)
        waveform = waveform + noise * per_sample(amplitude)
    return waveform
