"""The row that every corpus parser yields and every manifest holds."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

# Bounds of what a manifest may say: 30 years, and what an index can hold.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


@dataclass(frozen=True)
class Utterance:
    """One utterance: where its audio is and what is known about it.

    >>> utterance = Utterance("a", "a.wav", num_samples=441, sample_rate=44100)
    >>> utterance.samples_at_16k
    160
    """

    id: str
    wav: str  # POSIX; below the corpus folder, absolute once in a manifest
    emo: str | None = None  # class name
    emo_raw: str = ""  # as the corpus spells it
    spk: str = ""
    gender: str = "unknown"  # or "F", "M"
    lang: str = ""  # code
    dataset: str = ""
    split: str | None = None  # official part: "train", "valid" or "test"
    session: str | None = None
    dialog: str | None = None
    start: Seconds | None = None  # of a piece of the file
    stop: Seconds | None = None
    text: str | None = None
    votes: dict[str, Count] = field(default_factory=dict)  # label to number
    extra: dict[str, Any] = field(default_factory=dict)  # what JSON can hold
    duration: Seconds = 0.0  # of the piece if it is one
    num_samples: Count = 0  # at the file's own rate; 0: not measured yet
    sample_rate: Count = 0
    channels: Count = 0

    @property
    def samples_at_16k(self) -> int:
        """Samples after resampling to 16,000 Hz (rounded up)."""
        if self.sample_rate <= 0:
            raise ValueError(
                f"{self.id}: the sample rate is {self.sample_rate}, so the "
                "length is not known; measure the audio first"
            )
        return -(-self.num_samples * SAMPLE_RATE // self.sample_rate)
