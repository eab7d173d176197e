"""Who speaks, and how an emotion changes the way it is said.

Directions follow what surveys of vocal emotion agree on (Scherer 2003;
Juslin and Laukka 2003): anger is loud, high, bright and pressed; joy high,
wide and lively; sadness low, narrow, slow, soft and breathy; fear high,
narrow, fast and unsteady; disgust low, slow and rough. The sizes are ours.
"""

from dataclasses import astuple, dataclass

import numpy as np

EMOTIONS = ("angry", "disgusted", "fearful", "happy", "neutral", "sad")


@dataclass(frozen=True)
class Manner:
    """How something is said, relative to a speaker's neutral voice.

    All fields add up: a manner is a sum of an emotion, a habit of the speaker
    and the chance of the moment.
    """

    pitch: float = 0.0  # mean of F0, semitones
    span: float = 0.0  # size of accents, log2
    slope: float = 0.0  # trend of F0, semitones per second
    final: float = 0.0  # movement of F0 in the last 300 ms, semitones
    rate: float = 0.0  # syllables per second, log2
    loudness: float = 0.0  # dB
    tilt: float = 0.0  # corner of the source's low-pass, log2
    openness: float = 0.0  # open quotient of the glottis, absolute
    roughness: float = 0.0  # jitter and shimmer, log2
    breath: float = 0.0  # aspiration, log2
    formants: float = 0.0  # all of them (spread or rounded lips), log2
    tremor: float = 0.0  # depth of a 7 Hz movement of F0, semitones
    pauses: float = 0.0  # chance of a pause between two words


MANNERS = {
    "angry": Manner(
        pitch=3.5, span=0.6, slope=-1.5, final=-2.0, rate=0.15, loudness=5.5,
        tilt=1.1, openness=-0.12, roughness=0.6, breath=-0.6,
    ),
    "disgusted": Manner(
        pitch=-1.5, span=-0.2, slope=-1.0, final=-1.5, rate=-0.3,
        loudness=1.0, tilt=0.3, openness=-0.07, roughness=0.9,
        formants=-0.06, pauses=0.1,
    ),
    "fearful": Manner(
        pitch=4.5, span=-0.4, slope=0.5, final=1.0, rate=0.3, loudness=-1.0,
        tilt=-0.3, openness=0.05, roughness=1.1, breath=0.9, tremor=0.4,
        pauses=0.05,
    ),
    "happy": Manner(
        pitch=3.5, span=0.7, final=2.5, rate=0.12, loudness=2.5, tilt=0.4,
        breath=-0.2, formants=0.07,
    ),
    "neutral": Manner(),
    "sad": Manner(
        pitch=-1.5, span=-0.9, slope=-0.7, final=-0.5, rate=-0.3,
        loudness=-4.5, tilt=-0.9, openness=0.1, roughness=0.2, breath=1.2,
        pauses=0.2,
    ),
}  # fmt: skip

# Standard deviations: of one utterance to the next, and between speakers.
MOMENT = Manner(
    pitch=1.0, span=0.25, slope=0.7, final=1.0, rate=0.1, loudness=1.3,
    tilt=0.3, openness=0.03, roughness=0.3, breath=0.3, formants=0.01,
    tremor=0.05, pauses=0.05,
)  # fmt: skip
HABIT = Manner(
    span=0.2, slope=0.4, final=0.7, rate=0.08, loudness=1.2, tilt=0.25,
    openness=0.03, roughness=0.2, breath=0.3, tremor=0.03, pauses=0.03,
)  # fmt: skip


@dataclass(frozen=True)
class Speaker:
    """A generated voice."""

    name: str
    gender: str  # "F" or "M"
    pitch: float  # median F0 of the neutral voice, Hz
    tract: float  # factor on all formants; 1 = an adult man's vocal tract
    expressiveness: float  # how much of an emotion shows
    habit: Manner
    colour: float  # room and microphone: a filter, -0.4 (dark) to 0.4
    noise: float  # background, dB relative to full scale


def draw_speaker(index: int, seed: int) -> Speaker:
    """Speaker number ``index``: women have even numbers, men odd ones.

    >>> speaker = draw_speaker(0, seed=0)
    >>> speaker.name, speaker.gender, 165 < speaker.pitch < 235
    ('s00', 'F', True)
    """
    generator = np.random.default_rng([seed, 1, index])
    woman = index % 2 == 0
    spread = generator.uniform(-1, 1)
    return Speaker(
        name=f"s{index:02d}",
        gender="F" if woman else "M",
        pitch=(198.0 if woman else 112.0) * 2 ** (spread * 0.22),
        tract=(1.15 if woman else 1.0) * 2 ** generator.uniform(-0.08, 0.08),
        expressiveness=generator.uniform(0.8, 1.15),
        habit=Manner(
            *(generator.standard_normal(len(astuple(HABIT))) * astuple(HABIT))
        ),
        colour=generator.uniform(-0.4, 0.4),
        noise=generator.uniform(-72.0, -58.0),
    )


def draw_manner(
    emotion: str, speaker: Speaker, generator: np.random.Generator
) -> Manner:
    """How one utterance is said: emotion, habit and chance together.

    Raises ValueError for an emotion that is not generated.
    """
    if emotion not in MANNERS:
        raise ValueError(
            f"No manner for the emotion {emotion!r}; generated are "
            f"{', '.join(EMOTIONS)}."
        )
    strength = speaker.expressiveness * generator.uniform(0.65, 1.35)
    chance = generator.standard_normal(len(astuple(MOMENT)))
    return Manner(
        *(
            strength * np.array(astuple(MANNERS[emotion]))
            + np.array(astuple(speaker.habit))
            + chance * np.array(astuple(MOMENT))
        )
    )
