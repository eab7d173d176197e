"""From waveforms to an encoder's layers: the only place that does it.

Each clip is normalised before it meets another one, so that padding never
matters. One vocabulary says which layers are wanted, in yaml files, on the
command line and in exported classifiers:

=============  ==========================================================
an index       that block, prenet blocks first; -1 is the last
a list         the mean of these blocks
last           the last block
mean_last_4    the mean of the last four
weighted       a learned mean of all blocks (SUPERB): its weights are a
               probe's
all            every block
=============  ==========================================================
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE, relative_to_samples

Layer: TypeAlias = int | str | list[int]
NAMED = ("last", "mean_last_4", "weighted", "all")


def parse_layer(text: str) -> Layer:
    """Read a choice of layers from a command line.

    >>> [parse_layer(x) for x in ("-2", "-4,-3", "[0, 1]", "last")]
    [-2, [-4, -3], [0, 1], 'last']
    """
    parts = text.strip().removeprefix("[").removesuffix("]").split(",")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        return text
    return numbers if len(parts) > 1 else numbers[0]


def checked_layer(layer: Layer, num_layers: int) -> Layer:
    """Check a choice of layers; indices become positive, lists sorted.

    Raises ValueError naming the choice and what there is.

    >>> checked_layer(-2, 12), checked_layer([-1, 3, -1], 12)
    (10, [3, 11])
    """
    known = f"use 0 to {num_layers - 1}, a list of them, or one of {NAMED}"
    if isinstance(layer, str):
        if layer not in NAMED:
            raise ValueError(f"layer is {layer!r}: {known}")
        if layer == "mean_last_4" and num_layers < 4:
            raise ValueError(
                f"layer is 'mean_last_4', but the encoder has {num_layers} "
                "layers: give a list of layers to average"
            )
        return layer
    chosen = list(layer) if isinstance(layer, (list, tuple)) else [layer]
    if not chosen or not all(
        isinstance(index, int)
        and not isinstance(index, bool)
        and -num_layers <= index < num_layers
        for index in chosen
    ):
        raise ValueError(
            f"layer is {layer}, but the encoder has {num_layers}: {known}"
        )
    indices = sorted({index % num_layers for index in chosen})
    return indices if len(indices) > 1 else indices[0]


def layer_indices(layer: Layer, num_layers: int) -> list[int]:
    """Blocks that a choice reads, in order.

    >>> layer_indices("mean_last_4", 12), layer_indices(-1, 12)
    ([8, 9, 10, 11], [11])
    """
    layer = checked_layer(layer, num_layers)
    if isinstance(layer, str):
        first = {"last": num_layers - 1, "mean_last_4": num_layers - 4}
        return list(range(first.get(layer, 0), num_layers))
    return layer if isinstance(layer, list) else [layer]


def choose_layers(
    states: Iterable[torch.Tensor],
    layer: Layer,
    num_layers: int,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Combine blocks' outputs [B, ...] as they come; only what is wanted stays.

    Blocks behind the last one that is wanted are not computed. `weights` [L]
    are for "weighted". Gives [B, ...], for "all" [B, L, ...].

    >>> states = [torch.full((1, 2), float(i)) for i in range(6)]
    >>> choose_layers(iter(states), "mean_last_4", 6).tolist()
    [[3.5, 3.5]]
    >>> choose_layers(states, "weighted", 6, torch.eye(6)[2]).tolist()
    [[2.0, 2.0]]
    """
    indices = layer_indices(layer, num_layers)
    if layer == "weighted" and weights is None:
        raise ValueError(
            "layer is 'weighted', whose weights only a trained probe has: use "
            "'all' and weigh the layers yourself"
        )
    chosen: torch.Tensor | None = None
    # The range first: when it ends, no further block is asked for.
    for index, state in zip(range(indices[-1] + 1), states, strict=False):
        if index not in indices:
            continue
        if layer == "all":
            if chosen is None:
                shape = (len(state), num_layers, *state.shape[1:])
                chosen = state.new_empty(shape)
            chosen[:, index] = state
            continue
        if weights is not None:
            state = state * weights[index]
        chosen = state if chosen is None else chosen + state
    if chosen is None:
        raise ValueError(f"there is no layer {layer} in what the encoder gave")
    if layer in ("all", "weighted") or len(indices) == 1:
        return chosen
    return chosen / len(indices)


@dataclass(frozen=True)
class WaveformBatch:
    """Normalised clips with zeros behind: wav [B, S], samples [B] of each."""

    wav: torch.Tensor
    samples: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Relative to S, SpeechBrain style, float64 [B]."""
        return self.samples.double() / self.wav.shape[1]


def waveform_batch(
    waveforms: Sequence[torch.Tensor],
    device: torch.device | str = "cpu",
    min_samples: int = 0,
) -> WaveformBatch:
    """Normalise each waveform [S], then pad it.

    What is shorter than `min_samples` is filled up with zeros before it is
    normalised.

    >>> batch = waveform_batch([torch.tensor([1.0, 3.0]), torch.ones(3)])
    >>> batch.wav.round(decimals=3).tolist(), batch.samples.tolist()
    ([[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [2, 3])
    """
    ready = [
        normalise_waveform(pad(wav, (0, max(0, min_samples - len(wav)))))
        for wav in waveforms
    ]
    return WaveformBatch(
        pad_sequence(ready, batch_first=True).to(device),
        torch.tensor([len(wav) for wav in ready], device=device),
    )


def normalise_padded(wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Normalise each row [S] of a padded batch inside its relative length.

    The numbers are those of the clip alone, to the bit; padding becomes zero.

    >>> wav = torch.tensor([[1.0, 3.0, 9.0, 9.0]])
    >>> normalise_padded(wav, torch.tensor([0.5])).round(decimals=3).tolist()
    [[-1.0, 1.0, 0.0, 0.0]]
    """
    normalised = torch.zeros_like(wav)
    samples = relative_to_samples(lengths, wav.shape[1])
    for row, count in enumerate(samples.tolist()):
        if count:
            normalised[row, :count] = normalise_waveform(wav[row, :count])
    return normalised


def batches_by_length(
    num_samples: Sequence[int], batch_seconds: float
) -> list[list[int]]:
    """Put clips of about the same length together, longest first.

    Gives indices. A batch has at most `batch_seconds` of audio, padding
    included; a longer clip is a batch of its own. What does not fit into
    memory is in the first batch.

    Raises ValueError for a budget that is not positive.

    >>> batches_by_length([16000, 90000, 15000], batch_seconds=2.0)
    [[1], [0, 2]]
    """
    if not batch_seconds > 0:
        raise ValueError(f"batch_seconds is {batch_seconds}: give more than 0")
    budget = batch_seconds * SAMPLE_RATE
    batches: list[list[int]] = []
    for index in sorted(range(len(num_samples)), key=lambda i: -num_samples[i]):
        if batches:
            longest = num_samples[batches[-1][0]]
            if longest * (len(batches[-1]) + 1) <= budget:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches
