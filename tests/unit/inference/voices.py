"""Generated speech, and recordings put together of clips and pauses."""

import numpy as np

from speechbrain_e2v.corpora.synthetic.prosody import draw_manner, draw_speaker
from speechbrain_e2v.corpora.synthetic.utterance import (
    compose_sentence,
    speak,
)

PAUSES = [None, -55.0, -40.0]  # digital silence, or noise, dB


def voice(emotion="neutral", number=0, seconds=(1.4, 2.2)):
    """An utterance of a generated voice, about -20 dB, [S] at 16 kHz."""
    generator = np.random.default_rng([number, len(emotion)])
    speaker = draw_speaker(number % 4, seed=0)
    sentence = compose_sentence(number % 5, seconds, seed=0)
    manner = draw_manner(emotion, speaker, generator)
    wav = speak(sentence, speaker, manner, seconds, generator)
    return (0.1 * wav / wav.std()).clip(-1, 1).astype(np.float32)


def pause(seconds, decibels, seed=0):
    """Silence (None), or white noise of a root mean square below full scale."""
    samples = round(16000 * seconds)
    if decibels is None:
        return np.zeros(samples, dtype=np.float32)
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (10 ** (decibels / 20) * noise).astype(np.float32)


def joined(clips, seconds, decibels):
    """A pause, a clip, a pause, ...; and the seconds of each clip."""
    parts, spans, position = [], [], 0
    for seed, clip in enumerate(clips):
        parts += [pause(seconds, decibels, seed), clip]
        position += len(parts[-2])
        spans.append((position / 16000, (position + len(clip)) / 16000))
        position += len(clip)
    parts.append(pause(seconds, decibels, len(clips)))
    return np.concatenate(parts), spans


def labels_of(timeline, spans):
    """The label that most of the speech of each clip has."""
    found = []
    for start, end in spans:
        shares = {}
        for s in timeline.segments:
            overlap = min(end, s.end) - max(start, s.start)
            if overlap > 0 and not s.silent:
                shares[s.label] = shares.get(s.label, 0) + overlap
        found.append(max(shares, key=shares.get) if shares else "silence")
    return found
