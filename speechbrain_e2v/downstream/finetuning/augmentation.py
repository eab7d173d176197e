"""Changes of training waveforms, by SpeechBrain's augmentations.

A change takes waveforms [S] and their targets [B, n] and gives both. It draws
from torch's generator alone, which E2VBrain seeds for each micro-batch: a
resumed run hears what the uninterrupted one heard.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from speechbrain.processing.signal_processing import reverberate
from speechbrain.utils.callchains import lengths_arg_exists
from torch import Tensor, nn

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.walk import find_audio
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE


@dataclass(frozen=True)
class Augment:
    """One of SpeechBrain's augmentations for some of the utterances.

    Each is changed by itself, with draws of its own, with a probability.
    ``step()`` makes a module that takes waveforms [1, S], and relative lengths
    if it wants them.

    >>> import functools
    >>> from speechbrain.augment.time_domain import AddNoise
    >>> noisy = Augment(functools.partial(AddNoise, snr_high=20), 1.0)
    >>> [wav], _ = noisy([torch.ones(800)], torch.eye(1))
    >>> wav.shape, bool(wav.std() > 0)
    (torch.Size([800]), True)
    """

    step: Callable[[], nn.Module]
    probability: float = 0.5
    _module: nn.Module = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A yaml may be loaded where nothing has values: kernels need some.
        with torch.device("cpu"):
            object.__setattr__(self, "_module", self.step())

    def __call__(
        self, waveforms: list[Tensor], targets: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Change some; targets stay."""
        chosen = torch.rand(len(waveforms)) < self.probability
        takes_lengths = lengths_arg_exists(self._module.forward)
        changed = []
        for wav, yes in zip(waveforms, chosen.tolist(), strict=True):
            if yes:
                lengths = (torch.ones(1),) if takes_lengths else ()
                new = self._module(wav[None], *lengths)[0]
                # A clip of one frame can be too short when it was sped up.
                wav = new if len(new) >= MIN_SAMPLES else wav
            changed.append(wav)
        return changed, targets


@dataclass(frozen=True)
class NoiseFiles:
    """Noise for SpeechBrain's AddNoise, cut from the files of a folder.

    ``AddNoise(noise_funct=NoiseFiles(folder))``: SpeechBrain's own reader goes
    through a list, and a resumed run would begin it anew.

    Raises ValueError for a folder without audio.
    """

    folder: str
    _files: list[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        files = [f"{self.folder}/{name}" for name in find_audio(self.folder)]
        if not files:
            raise ValueError(f"{self.folder} has no audio files")
        object.__setattr__(self, "_files", files)

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Noise [B, S] as long as the waveforms, repeated where it is short."""
        rows = []
        for _ in waveforms:
            number = int(torch.randint(len(self._files), ()))
            noise = read_audio(self._files[number])
            first = int(torch.randint(len(noise), ()))
            repeats = -(-(first + waveforms.shape[1]) // len(noise))
            noise = noise.repeat(repeats)[first : first + waveforms.shape[1]]
            rows.append(noise)
        return torch.stack(rows).to(waveforms)


class GeneratedReverb(nn.Module):
    """A room that was drawn: noise that decays, behind the direct sound.

    The reverberation time is drawn between two numbers of seconds, until 60 dB
    are lost; the reverberation is ``level`` dB below the direct sound.

    Raises ValueError for times that are not positive or not in order.
    """

    def __init__(
        self, shortest: float = 0.2, longest: float = 0.8, level: float = -6.0
    ) -> None:
        super().__init__()
        if not 0 < shortest <= longest:
            raise ValueError(
                f"reverberation times are {shortest} to {longest} s: give "
                "positive ones in order"
            )
        self.shortest, self.longest, self.level = shortest, longest, level

    def forward(self, waveforms: Tensor) -> Tensor:
        """Map [1, S] to [1, S]."""
        span = self.longest - self.shortest
        seconds = self.shortest + span * float(torch.rand(()))
        count = max(2, round(seconds * SAMPLE_RATE))
        decay = 10 ** (-3 * torch.arange(1, count) / count)
        tail = torch.randn(count - 1) * decay
        tail = tail * 10 ** (self.level / 20) / tail.norm()
        room = torch.cat([torch.ones(1), tail])
        room = room.to(waveforms)[None, :, None]
        return reverberate(waveforms[..., None], room, "avg").squeeze(-1)


@dataclass(frozen=True)
class Crop:
    """A piece of each utterance, at most so many seconds, drawn anew.

    >>> [wav], _ = Crop(0.05)([torch.ones(16000)], torch.eye(1))
    >>> len(wav)
    800
    """

    seconds: float

    def __call__(
        self, waveforms: list[Tensor], targets: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Cut what is longer; targets stay."""
        length = max(round(self.seconds * SAMPLE_RATE), MIN_SAMPLES)
        draws = torch.rand(len(waveforms))
        cut = []
        for wav, draw in zip(waveforms, draws.tolist(), strict=True):
            first = int(draw * max(0, len(wav) - length + 1))
            cut.append(wav[first : first + length])
        return cut, targets
