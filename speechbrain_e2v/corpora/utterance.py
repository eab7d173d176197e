"""The row that every corpus parser yields and every manifest holds."""

from dataclasses import dataclass, field

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


@dataclass(frozen=True)
class Utterance:
    """One utterance: where its audio is and what is known about it.

    Arguments
    ---------
    id : str
        Unique name within its corpus.
    wav : str
        Audio path, POSIX separators: relative to the corpus folder when a
        parser makes it, absolute once read from a manifest.
    emo : str or None
        Class name; ``None`` when there is no label.
    emo_raw : str
        The label as the corpus spells it.
    spk, gender, lang, dataset : str
        Speaker, gender (``"F"``, ``"M"`` or ``"unknown"``), language code and
        corpus name.
    split : str or None
        Official part: ``"train"``, ``"valid"`` or ``"test"``.
    session, dialog : str or None
        Recording session and conversation.
    start, stop : float or None
        Seconds inside ``wav`` when the utterance is a piece of it.
    text : str or None
        Transcript.
    extra : dict
        Anything else that JSON can hold.
    duration : float
        Seconds of this utterance (of the piece, if it is one).
    num_samples, sample_rate, channels : int
        Samples of this utterance at the file's own rate (Hz), and channels.
        Zero until the audio was probed.

    Example
    -------
    >>> utterance = Utterance("a", "a.wav", num_samples=441, sample_rate=44100)
    >>> utterance.samples_at_16k
    160
    """

    id: str
    wav: str
    emo: str | None = None
    emo_raw: str = ""
    spk: str = ""
    gender: str = "unknown"
    lang: str = ""
    dataset: str = ""
    split: str | None = None
    session: str | None = None
    dialog: str | None = None
    start: float | None = None
    stop: float | None = None
    text: str | None = None
    extra: dict = field(default_factory=dict)
    duration: float = 0.0
    num_samples: int = 0
    sample_rate: int = 0
    channels: int = 0

    @property
    def samples_at_16k(self):
        """Samples after resampling to 16,000 Hz (rounded up)."""
        if self.sample_rate <= 0:
            raise ValueError(
                f"{self.id}: the sample rate is {self.sample_rate}, so the "
                "length is not known; probe the audio first"
            )
        return -(-self.num_samples * SAMPLE_RATE // self.sample_rate)
