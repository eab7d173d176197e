"""Architectures that have learned nothing: the floor under what is learned."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from speechbrain_e2v.downstream.upstreams import Upstream
from speechbrain_e2v.downstream.upstreams.encoder import (
    FrozenEncoder,
    random_encoder,
)
from speechbrain_e2v.downstream.upstreams.huggingface import random_huggingface
from speechbrain_e2v.downstream.upstreams.wav2vec1 import Wav2vec1Features
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.wav2vec1 import (
    EXTRACTOR,
    GumbelQuantiser,
    Wav2vec1,
)
from speechbrain_e2v.lobes.wavlm import WavLMEncoder

_OURS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "emotion2vec": (Emotion2vecEncoder, {"num_extra_tokens": 10}),
    "data2vec2-base": (Emotion2vecEncoder, {"num_extra_tokens": 0}),
    "data2vec-base": (Data2vec1Encoder, {}),
    "vesper-4": (WavLMEncoder, {}),
    "vesper-12": (WavLMEncoder, {"depth": 12}),
}
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
}
_WHISPER = {"decoder_layers": 1}  # is built and thrown away
# Model type of transformers, sizes, and whether clips are normalised.
_HUGGINGFACE: dict[str, tuple[str, dict[str, Any], bool]] = {
    "wav2vec2-base": ("wav2vec2", {}, True),
    "wav2vec2-large": ("wav2vec2", {**_LARGE, "conv_bias": True}, True),
    "hubert-base": ("hubert", {}, True),
    "hubert-large": ("hubert", {**_LARGE, "conv_bias": True}, True),
    "wavlm-base": ("wavlm", {}, False),
    "wavlm-base-plus": ("wavlm", {}, False),
    "wavlm-large": ("wavlm", _LARGE, True),
    "whisper-base": (
        "whisper",
        {
            **_WHISPER,
            "d_model": 512,
            "encoder_layers": 6,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
        },
        False,
    ),
    "whisper-large-v2": (
        "whisper",
        {
            **_WHISPER,
            "d_model": 1280,
            "encoder_layers": 32,
            "encoder_attention_heads": 20,
            "decoder_attention_heads": 20,
            "encoder_ffn_dim": 5120,
        },
        False,
    ),
}
ARCHITECTURES = sorted([*_OURS, *_HUGGINGFACE, "wav2vec", "vq-wav2vec"])


def random_upstream(
    architecture: str,
    sizes: Mapping[str, Any] | None = None,
    seed: int = 0,
    layer: Layer = "last",
    device: str = "cpu",
) -> Upstream:
    """Features of a published architecture at random initialisation.

    `architecture` is the name of an upstream, of which `sizes` replace some,
    or whatever `random_encoder` takes. Nothing is downloaded for a name.

    Raises ValueError for an unknown name, or sizes that are none.

    >>> upstream = random_upstream(
    ...     "emotion2vec", {"depth": 1, "prenet_depth": 1, "embed_dim": 32,
    ...     "num_heads": 2, "conv_channels": 16, "pos_conv_groups": 4})
    >>> upstream.extract([torch.randn(16000)])[0].shape
    torch.Size([49, 32])
    """
    sizes = dict(sizes or {})
    if Path(architecture).exists():
        if sizes:
            raise ValueError(
                f"sizes are those of {architecture}: give none, or a name"
            )
        return random_encoder(architecture, seed, layer, device)
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"there is no architecture {architecture}; there are "
            f"{', '.join(ARCHITECTURES)}, or give an encoder folder"
        )
    description = {
        "kind": "encoder at random initialisation",
        "architecture_of": architecture,
        "sizes": sizes,
        "seed": seed,
    }
    if architecture in _HUGGINGFACE:
        kind, published, normalised = _HUGGINGFACE[architecture]
        all_sizes = {**published, **sizes}
        return random_huggingface(
            kind, all_sizes, normalised, seed, layer, device, description
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            if architecture in _OURS:
                build, published = _OURS[architecture]
                encoder = build(**{**published, **sizes})
                return FrozenEncoder(encoder, layer, device, description)
            net = (_vq_wav2vec if "vq" in architecture else Wav2vec1)(**sizes)
        except TypeError as error:
            raise ValueError(f"sizes of {architecture}: {error}") from error
    return Wav2vec1Features(net, layer, device, description)


def _vq_wav2vec(width: int = 512, entries: int = 320) -> Wav2vec1:
    return Wav2vec1(
        width,
        (*EXTRACTOR, (1, 1)),
        activation=nn.GELU,
        log_compression=False,
        quantiser=GumbelQuantiser(width, entries=entries),
    )
