"""Encoders of this package, trained or at random."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from speechbrain_e2v.downstream.upstreams.layers import LayerChoice
from speechbrain_e2v.lobes.batching import Layer, waveform_batch
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.lengths import receptive_field
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained, read_sizes
from speechbrain_e2v.published.sizes import fresh_encoder

FEATURES = ("frames", "tokens", "both")
_PREPROCESSING = "16 kHz mono, zero mean and unit variance per utterance"


class FrozenEncoder:
    """Block outputs of an encoder that is never trained.

    `layer` is what :mod:`speechbrain_e2v.lobes.batching` knows. `features` are
    the frames, the utterance tokens, or the tokens and then the frames (paper,
    table 9, which does not say how they are put together). `description` is
    what ``results.json`` shall say about the encoder.

    Raises ValueError if there is no such layer, or there are no tokens.

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
        features: str = "frames",
    ):
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self._device = device
        self._choice = LayerChoice(layer, encoder.num_layers)
        self._features = features
        config = encoder.config
        if features not in FEATURES:
            raise ValueError(
                f"features is {features!r}; there are {', '.join(FEATURES)}"
            )
        if features != "frames" and not config.get("num_extra_tokens"):
            raise ValueError(
                f"features is {features!r}, but this encoder has no utterance "
                "tokens: give frames"
            )
        self.dim = encoder.embed_dim * self._choice.times
        self._min_samples = receptive_field(
            config["conv_kernels"], config["conv_strides"]
        )
        digest = weights_digest(encoder)
        self.description = {
            **(description or {}),
            "weights_sha256": digest,
            "layer": self._choice.said,
            "layers": self._choice.layers,
            "parameters": sum(p.numel() for p in encoder.parameters()),
            "preprocessing": _PREPROCESSING,
            "batching": "padded, and padding masked: it changes nothing",
        }
        text = f"{digest}|{self._choice.read}|{_PREPROCESSING}"
        if features != "frames":
            self.description["features"] = features
            text += f"|{features}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @torch.no_grad()
    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features [T, D] of each waveform [S], whatever it is batched with.

        One without a single frame (under 400 samples) is filled up with zeros.
        """
        batch = waveform_batch(waveforms, self._device, self._min_samples)
        counts = self.encoder.num_frames(batch.samples)
        tokens = 0
        states: Iterator[torch.Tensor]
        # TensorFloat-32 convolutions would round off half of the digits.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            if self._features != "frames" and isinstance(
                self.encoder, Emotion2vecEncoder
            ):
                context = self.encoder.context
                tokens = context.num_extra_tokens
                local = self.encoder.local_features(batch.wav)
                states = (state for state, _ in context(local, counts))
            else:
                lengths = batch.lengths if len(waveforms) > 1 else None
                states = self.encoder.states(batch.wav, lengths)
            rows = self._choice(states)
        if self._features == "tokens":
            return list(rows[:, :tokens].clone())
        return [
            # Cloned: a slice would keep the padded batch in memory.
            row[: tokens + count].clone()
            for row, count in zip(rows, counts.tolist(), strict=True)
        ]


def trained_encoder(
    source: str | Path,
    layer: Layer = -1,
    device: str = "cpu",
    features: str = "frames",
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
    return FrozenEncoder(encoder, layer, device, description, features)


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
