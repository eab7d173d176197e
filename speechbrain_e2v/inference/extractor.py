"""Features of files and arrays, the same whatever they are batched with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

import torch

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.inference.clips import (
    Audio,
    TooShort,
    clips_of,
    listed,
    measure,
    plan_batches,
    read_batches,
)
from speechbrain_e2v.lobes.batching import (
    Layer,
    checked_layer,
    choose_layers,
    waveform_batch,
)
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE, receptive_field
from speechbrain_e2v.lobes.pooling import masked_mean
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.training.devices import usable_device

GRANULARITIES = ("utterance", "frame")
BATCH_SECONDS_ON_CPU = 12.0  # larger ones leave the cache and are slower
BATCH_SECONDS_ON_GPU = 480.0
Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one clip, on the CPU, float32.

    `name` is the path as it was given, or ``array <index>``; `values` are
    frames [T, D] or an utterance [D], with all layers in front [L, ...];
    `times` [T], float64, the centre of the 25 ms that each frame sees, in
    seconds from the start of the clip, which is `seconds` long.
    """

    name: str
    values: torch.Tensor
    times: torch.Tensor
    seconds: float


class Emotion2vec:
    """Feature extractor for audio of any rate, length and channel count.

    The encoder is put into evaluation mode and moved to the device; `card`
    has its name, origin, licence and the corpora it heard.

    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> model = Emotion2vec(Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4))
    >>> found = model.extract(torch.randn(16000), sample_rate=16000,
    ...                       granularity="frame")
    >>> found.values.shape, found.times[:3].tolist()
    (torch.Size([49, 48]), [0.0125, 0.0325, 0.0525])
    """

    def __init__(
        self,
        encoder: WaveformEncoder,
        card: dict | None = None,
        device: torch.device | str = "cpu",
    ):
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self.card = card or {}
        self.device = torch.device(device)
        strides = encoder.config["conv_strides"]
        self.hop = math.prod(strides)
        self.min_samples = receptive_field(
            encoder.config["conv_kernels"], strides
        )

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | None = None,
        local_files_only: bool = False,
    ) -> "Emotion2vec":
        """Load an encoder from wherever it lies.

        `source` is an encoder folder, the output folder of a pre-training run,
        a published file or folder, or a hub id
        (``emotion2vec/emotion2vec_base``), which `local_files_only` keeps from
        being downloaded. Without a device it is a GPU where there is one.
        """
        usable = usable_device(device)
        encoder, card = load_pretrained(source, local_files_only)
        return cls(encoder, card, usable)

    @property
    def batch_seconds(self) -> float:
        """Seconds of audio in a batch by default: the fastest here."""
        if self.device.type == "cpu":
            return BATCH_SECONDS_ON_CPU
        return BATCH_SECONDS_ON_GPU

    @overload  # a str is a sequence of str
    def extract(  # type: ignore[overload-overlap]
        self,
        audio: Audio,
        sample_rate: int | None = None,
        granularity: str = "utterance",
        layer: Layer = "last",
        batch_seconds: float | None = None,
        pad_short: bool = False,
        window: float | None = None,
        progress: bool = False,
    ) -> Features: ...

    @overload
    def extract(
        self,
        audio: Sequence[Audio],
        sample_rate: int | None = None,
        granularity: str = "utterance",
        layer: Layer = "last",
        batch_seconds: float | None = None,
        pad_short: bool = False,
        window: float | None = None,
        progress: bool = False,
    ) -> list[Features]: ...

    def extract(
        self,
        audio: Audio | Sequence[Audio],
        sample_rate: int | None = None,
        granularity: str = "utterance",
        layer: Layer = "last",
        batch_seconds: float | None = None,
        pad_short: bool = False,
        window: float | None = None,
        progress: bool = False,
    ) -> Features | list[Features]:
        """Extract features; no result depends on what else is in the list.

        Channels are averaged, then resampled to 16,000 Hz, then normalised
        to zero mean and unit variance per clip.

        Arguments
        ---------
        audio
            A path, a waveform (see `clips_of`), or several; a single one gives
            a single result, several a list in their order.
        sample_rate
            Of waveforms, Hz.
        granularity
            "utterance": mean over frames; "frame": all frames, 50 a second.
        layer
            See `lobes.batching`; "weighted" belongs to classifiers.
        batch_seconds
            Audio computed together, padding included; a longer clip is
            computed alone.
        pad_short
            Fill clips without a single frame up with zeros.
        window
            Seconds that a frame attends to on each side. An approximation,
            for speed on very long audio: see `attend_in_blocks`.

        Raises ValueError before any work, naming the first clip that cannot be
        used (`AudioError`, `TooShort`) or the argument that is wrong.
        """
        several, alone = listed(audio)
        clips = clips_of(several, sample_rate)
        self.check(granularity, layer, window)
        minimum = 1 if pad_short else self.min_samples
        lengths = measure(clips, minimum)
        total = sum(_or_raise(length) for length in lengths) / SAMPLE_RATE
        found: dict[int, Features] = {}
        with progress_bar(total=total, unit="s", disable=not progress) as bar:
            for batch in read_batches(
                clips, self.batches(lengths, batch_seconds), minimum
            ):
                results = self.encode(
                    [_or_raise(waveform) for waveform in batch.values()],
                    [clips[index].name for index in batch],
                    granularity,
                    layer,
                    pad_short,
                    window,
                )
                found |= zip(batch, results, strict=True)
                bar.update(sum(features.seconds for features in results))
        ordered = [found[index] for index in range(len(clips))]
        return ordered[0] if alone else ordered

    def check(
        self, granularity: str, layer: Layer, window: float | None
    ) -> None:
        """Raise a ValueError for an argument that cannot be used."""
        if granularity not in GRANULARITIES:
            raise ValueError(
                f"granularity is {granularity!r}: use one of {GRANULARITIES}"
            )
        checked_layer(layer, self.encoder.num_layers)
        if layer == "weighted":
            raise ValueError(
                "layer is 'weighted', whose weights only a trained probe has: "
                "use 'all' and weigh the layers yourself"
            )
        if window is not None and not window > 0:
            raise ValueError(f"window is {window}: give seconds, more than 0")

    def batches(
        self,
        lengths: Sequence[int | ValueError],
        batch_seconds: float | None = None,
    ) -> list[list[int]]:
        """`plan_batches` with the device's budget by default."""
        if batch_seconds is None:
            batch_seconds = self.batch_seconds
        return plan_batches(lengths, batch_seconds)

    @torch.no_grad()
    def encode(
        self,
        waveforms: Sequence[torch.Tensor],
        names: Sequence[str],
        granularity: str = "utterance",
        layer: Layer = "last",
        pad_short: bool = False,
        window: float | None = None,
    ) -> list[Features]:
        """Compute waveforms [S], mono 16,000 Hz, as one batch.

        Raises TooShort naming a waveform without a frame.
        """
        for name, wav in zip(names, waveforms, strict=True):
            if len(wav) < self.min_samples and not pad_short:
                raise TooShort(name, len(wav), self.min_samples)
        batch = waveform_batch(waveforms, self.device, self.min_samples)
        counts = self.encoder.num_frames(batch.samples)
        reach = None
        if window is not None:
            reach = max(1, round(window * SAMPLE_RATE / self.hop))
        lengths = batch.lengths if len(waveforms) > 1 else None
        states = self.encoder.states(batch.wav, lengths, reach)
        if granularity == "utterance":
            states = (masked_mean(state, counts) for state in states)
        # TensorFloat-32 convolutions would round off half of the digits.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            values = choose_layers(states, layer, self.encoder.num_layers).cpu()
        return [
            Features(
                name,
                # Cloned: a slice would keep the padded batch in memory.
                row[..., :count, :].clone()
                if granularity == "frame"
                else row.clone(),
                self._times(count),
                len(wav) / SAMPLE_RATE,
            )
            for name, row, count, wav in zip(
                names, values, counts.tolist(), waveforms, strict=True
            )
        ]

    def _times(self, frames: int) -> torch.Tensor:
        samples = self.hop * torch.arange(frames, dtype=torch.float64)
        return (samples + self.min_samples / 2) / SAMPLE_RATE


def _or_raise(outcome: Found | ValueError) -> Found:
    if isinstance(outcome, ValueError):
        raise outcome
    return outcome
