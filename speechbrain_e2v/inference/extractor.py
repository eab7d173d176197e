"""Features of files and arrays, the same whatever they are batched with."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from speechbrain_e2v.inference.clips import TooShort, clips_of, measure
from speechbrain_e2v.inference.layers import checked_layer, choose_layers
from speechbrain_e2v.inference.trained import in_batches
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE, receptive_field
from speechbrain_e2v.lobes.pooling import masked_mean
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.training.devices import usable_device

GRANULARITIES = ("utterance", "frame")
BATCH_SECONDS_ON_CPU = 12.0  # larger ones leave the cache and are slower
BATCH_SECONDS_ON_GPU = 480.0


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one clip.

    Arguments
    ---------
    name : str
        Path as it was given, or ``array <index>``.
    values : torch.Tensor, float32
        [T, D] frames, [D] utterance; [L, T, D], [L, D] for all layers.
    times : torch.Tensor, [T], float64
        Seconds from the start of the clip to the centre of the 25 ms that
        each frame sees.
    seconds : float
        Length of the clip.
    """

    name: str
    values: torch.Tensor
    times: torch.Tensor
    seconds: float


class Emotion2vec:
    """Feature extractor for audio of any rate, length and channel count.

    Arguments
    ---------
    encoder : Emotion2vecEncoder
        Put into evaluation mode and moved to `device`.
    card : dict
        Name, origin, licence and corpora heard, of the encoder.
    device : str or torch.device

    Example
    -------
    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> model = Emotion2vec(Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4))
    >>> found = model.extract(torch.randn(16000), sample_rate=16000,
    ...                       granularity="frame")
    >>> found.values.shape, found.times[:3].tolist()
    (torch.Size([49, 48]), [0.0125, 0.0325, 0.0525])
    """

    def __init__(self, encoder, card=None, device="cpu"):
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self.card = card or {}
        self.device = torch.device(device)
        strides = encoder.config["conv_strides"]
        self.hop = math.prod(strides)
        self.min_samples = receptive_field(
            encoder.config["conv_kernels"], strides
        )

    @classmethod
    def from_pretrained(cls, source, device=None, local_files_only=False):
        """Load an encoder from wherever it lies.

        Arguments
        ---------
        source : str or Path
            Encoder folder, output folder of a pre-training run, published
            file or folder, or hub id (``emotion2vec/emotion2vec_base``).
        device : str or None
            By default a GPU where there is one.
        local_files_only : bool
            Never download.

        Returns
        -------
        Emotion2vec
        """
        device = usable_device(device)
        encoder, card = load_pretrained(source, local_files_only)
        return cls(encoder, card, device)

    @property
    def batch_seconds(self):
        """Seconds of audio in a batch by default: the fastest here."""
        if self.device.type == "cpu":
            return BATCH_SECONDS_ON_CPU
        return BATCH_SECONDS_ON_GPU

    def extract(
        self,
        audio,
        sample_rate=None,
        granularity="utterance",
        layer="last",
        batch_seconds=None,
        pad_short=False,
        window=None,
        progress=False,
    ):
        """Extract features; no result depends on what else is in the list.

        Channels are averaged, then resampled to 16,000 Hz, then normalised
        to zero mean and unit variance per clip.

        Arguments
        ---------
        audio : path, waveform, or sequence of them
            See `clips_of`.
        sample_rate : int or None
            Of waveforms, Hz.
        granularity : str
            "utterance": mean over frames; "frame": all frames, 50 a second.
        layer : int or str
            Block, prenet first, or "last", "all", "mean_last_4".
        batch_seconds : float or None
            Audio computed together, padding included; a longer clip is
            computed alone.
        pad_short : bool
            Fill clips without a single frame up with zeros.
        window : float or None
            Seconds that a frame attends to on each side. An approximation,
            for speed on very long audio: see `attend_in_blocks`.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Features or list of Features
            One for a single path or waveform, a list for a sequence, in its
            order.

        Raises
        ------
        ValueError
            Before any work, naming the first clip that cannot be used
            (`AudioError`, `TooShort`) or the argument that is wrong.
        """
        alone = isinstance(audio, (str, Path)) or hasattr(audio, "ndim")
        clips = clips_of([audio] if alone else audio, sample_rate)
        self.check(granularity, layer, window)
        lengths = measure(clips, 1 if pad_short else self.min_samples)
        bad = [outcome for outcome in lengths if isinstance(outcome, Exception)]
        if bad:
            raise bad[0]
        found = [None] * len(clips)
        total = sum(lengths) / SAMPLE_RATE
        with tqdm(total=total, unit="s", disable=not progress) as bar:
            for batch in self.batches(lengths, batch_seconds):
                results = self.encode(
                    [clips[index].read() for index in batch],
                    [clips[index].name for index in batch],
                    granularity,
                    layer,
                    pad_short,
                    window,
                )
                for index, features in zip(batch, results, strict=True):
                    found[index] = features
                bar.update(sum(features.seconds for features in results))
        return found[0] if alone else found

    def check(self, granularity, layer, window):
        """Raise a ValueError for an argument that cannot be used."""
        if granularity not in GRANULARITIES:
            raise ValueError(
                f"granularity is {granularity!r}: use one of {GRANULARITIES}"
            )
        checked_layer(layer, self.encoder.num_layers)
        if window is not None and not window > 0:
            raise ValueError(f"window is {window}: give seconds, more than 0")

    def batches(self, lengths, batch_seconds=None):
        """Put clips of about the same length together, longest first.

        Arguments
        ---------
        lengths : sequence of int
            Samples.
        batch_seconds : float or None

        Returns
        -------
        list of list of int
            Indices. The longest come first: what does not fit in memory
            fails at once.
        """
        if batch_seconds is None:
            batch_seconds = self.batch_seconds
        if not batch_seconds > 0:
            raise ValueError(
                f"batch_seconds is {batch_seconds}: give more than 0"
            )
        return list(in_batches(lengths, batch_seconds))[::-1]

    @torch.no_grad()
    def encode(
        self,
        waveforms,
        names,
        granularity="utterance",
        layer="last",
        pad_short=False,
        window=None,
    ):
        """Compute one batch.

        Arguments
        ---------
        waveforms : list of torch.Tensor
            [S] each, mono, 16,000 Hz.
        names : list of str
        granularity, layer, pad_short, window
            See `extract`.

        Returns
        -------
        list of Features
            On the CPU.

        Raises
        ------
        TooShort
            Naming a waveform without a frame.
        """
        layers = self.encoder.num_layers
        layer = checked_layer(layer, layers)
        seconds = [len(wav) / SAMPLE_RATE for wav in waveforms]
        for name, wav in zip(names, waveforms, strict=True):
            if len(wav) < self.min_samples and not pad_short:
                raise TooShort(name, len(wav), self.min_samples)
        if pad_short:
            waveforms = [_padded(wav, self.min_samples) for wav in waveforms]
        samples = torch.tensor([len(wav) for wav in waveforms])
        counts = self.encoder.num_frames(samples)
        states = self._states(waveforms, samples, window)
        if granularity == "utterance":
            on_device = counts.to(self.device)
            states = (masked_mean(state, on_device) for state in states)
        # TensorFloat-32 convolutions would round off half of the digits.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            values = choose_layers(states, layer, layers).cpu()
        return [
            Features(
                name,
                # Cloned: a slice would keep the padded batch in memory.
                row[..., :count, :].clone()
                if granularity == "frame"
                else row.clone(),
                self._times(count),
                length,
            )
            for name, row, count, length in zip(
                names, values, counts.tolist(), seconds, strict=True
            )
        ]

    def _states(self, waveforms, samples, window):
        # Normalised before they are padded: bit for bit as when alone.
        waveforms = [normalise_waveform(wav[None])[0] for wav in waveforms]
        wav = pad_sequence(waveforms, batch_first=True).to(self.device)
        lengths = None
        if len(waveforms) > 1:
            lengths = samples.to(self.device).double() / wav.shape[1]
        if window is not None:
            window = max(1, round(window * SAMPLE_RATE / self.hop))
        return self.encoder.states(wav, lengths, window)

    def _times(self, frames):
        samples = self.hop * torch.arange(frames, dtype=torch.float64)
        return (samples + self.min_samples / 2) / SAMPLE_RATE


def _padded(wav, samples):
    if len(wav) >= samples:
        return wav
    return pad(wav, (0, samples - len(wav)))
