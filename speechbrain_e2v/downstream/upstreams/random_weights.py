"""Architectures that have learned nothing: the floor under what is learned."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.downstream.upstreams import Upstream
from speechbrain_e2v.downstream.upstreams.encoder import (
    FrozenEncoder,
    random_encoder,
)
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder

_OURS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "emotion2vec": (Emotion2vecEncoder, {"num_extra_tokens": 10}),
    "data2vec2-base": (Emotion2vecEncoder, {"num_extra_tokens": 0}),
    "data2vec-base": (Data2vec1Encoder, {}),
}


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
    if architecture not in _OURS:
        known = ", ".join(sorted(_OURS))
        raise ValueError(
            f"there is no architecture {architecture}; there are {known}, or "
            "give an encoder folder"
        )
    description = {
        "kind": "encoder at random initialisation",
        "architecture_of": architecture,
        "sizes": sizes,
        "seed": seed,
    }
    build, published = _OURS[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            encoder = build(**{**published, **sizes})
        except TypeError as error:
            raise ValueError(f"sizes of {architecture}: {error}") from error
    return FrozenEncoder(encoder, layer, device, description)
