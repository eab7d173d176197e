"""Encoders of this package, trained or at random."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_e2v.inference.extractor import Emotion2vec
from speechbrain_e2v.lobes.batching import (
    Layer,
    checked_layer,
    layer_indices,
)
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained, read_sizes
from speechbrain_e2v.published.sizes import fresh_encoder

_PREPROCESSING = "16 kHz mono, zero mean and unit variance per utterance"


class FrozenEncoder:
    """Block outputs of an encoder that is never trained.

    `layer` is what :mod:`speechbrain_e2v.lobes.batching` knows. "all" gives
    all blocks one after the other, [T, L * D]; so does "weighted", for a head
    that learns the weights (:class:`~speechbrain_e2v.lobes.heads.\
WeightedSumHead`). `description` is what ``results.json`` shall say about the
    encoder.

    Raises ValueError if there is no such layer.

    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> upstream = FrozenEncoder(encoder, layer=-1)
    >>> waveforms = [torch.randn(16000), torch.randn(5000)]
    >>> [tuple(frames.shape) for frames in upstream.extract(waveforms)]
    [(49, 48), (15, 48)]
    """

    def __init__(
        self,
        encoder: WaveformEncoder,
        layer: Layer = -1,
        device: str = "cpu",
        description: dict | None = None,
    ):
        self._model = Emotion2vec(encoder, device=device)
        self.encoder = self._model.encoder
        layers = encoder.num_layers
        layer = checked_layer(layer, layers)
        # Both hold every block; only the head differs.
        self._layer = "all" if layer == "weighted" else layer
        self.dim = encoder.embed_dim * (layers if self._layer == "all" else 1)
        if layer in ("last", "mean_last_4"):
            layer = checked_layer(layer_indices(layer, layers), layers)
        digest = weights_digest(encoder)
        self.description = {
            **(description or {}),
            "weights_sha256": digest,
            "layer": layer,
            "layers": layers,
            "parameters": sum(p.numel() for p in encoder.parameters()),
            "preprocessing": _PREPROCESSING,
            "batching": "padded, and padding masked: it changes nothing",
        }
        kept = "all" if layer == "weighted" else layer
        text = f"{digest}|{kept}|{_PREPROCESSING}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames [T, D] of each waveform [S], whatever it is batched with.

        One without a single frame (under 400 samples) is filled up with zeros.
        """
        found = self._model.encode(
            waveforms,
            [f"waveform {index}" for index in range(len(waveforms))],
            "frame",
            self._layer,
            pad_short=True,
        )
        if self._layer == "all":  # [L, T, D]
            return [x.values.transpose(0, 1).flatten(1) for x in found]
        return [features.values for features in found]


def trained_encoder(
    source: str | Path, layer: Layer = -1, device: str = "cpu"
) -> FrozenEncoder:
    """Features of an encoder that `load_pretrained` finds at `source`.

    Raises FileNotFoundError if there is no such thing; ValueError if it is no
    encoder, or damaged, or has no such layer.
    """
    encoder, card = load_pretrained(source)
    description = {
        "kind": "trained encoder",
        "source": _name(source),
        "card": card,
    }
    return FrozenEncoder(encoder, layer, device, description)


def random_encoder(
    source: str | Path, seed: int = 0, layer: Layer = -1, device: str = "cpu"
) -> FrozenEncoder:
    """Features of an encoder of the same sizes that learned nothing.

    `source` is anything that `load_pretrained` accepts, whose weights are not
    used; `seed` is that of the initialisation.
    """
    with torch.random.fork_rng(devices=[]):
        sizes = read_sizes(source)
        torch.manual_seed(seed)
        encoder = fresh_encoder(sizes)
    description = {
        "kind": "encoder at random initialisation",
        "architecture_of": _name(source),
        "seed": seed,
    }
    return FrozenEncoder(encoder, layer, device, description)


def _name(source: str | Path) -> str:
    path = Path(source)
    return path.resolve().name if path.exists() else str(source)
