"""wav2vec and vq-wav2vec as upstreams: 100 frames a second, never padded."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import pad

from speechbrain_e2v.downstream.upstreams.layers import LayerChoice
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.wav2vec1 import Wav2vec1
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.hub import origin_of, resolve
from speechbrain_e2v.published.known_checkpoints import (
    card_of,
    known_checkpoint,
)
from speechbrain_e2v.published.wav2vec1_layout import read_wav2vec1


class Wav2vec1Features:
    """States of a net that is never trained, one utterance after the other.

    Layer 0 is the extractor's output z, then come those of the aggregator;
    the last is the context c.

    >>> upstream = Wav2vec1Features(Wav2vec1(width=16))
    >>> [len(x) for x in upstream.extract([torch.randn(16000), torch.ones(9)])]
    [98, 1]
    """

    def __init__(
        self,
        net: Wav2vec1,
        layer: Layer = "last",
        device: str = "cpu",
        description: Mapping[str, Any] | None = None,
    ) -> None:
        self._net = net.to(device).eval().requires_grad_(False)
        self._device = device
        layers = 1 + len(net.feature_aggregator.conv_layers)
        self._choice = LayerChoice(layer, layers)
        width = next(net.parameters()).shape[0]
        self.dim = width * self._choice.times
        digest = weights_digest(net)
        self.description: dict[str, Any] = {
            **(description or {}),
            "architecture": type(net).__name__,
            "weights_sha256": digest,
            "layer": self._choice.said,
            "layers": layers,
            "parameters": sum(p.numel() for p in net.parameters()),
            "preprocessing": "16 kHz mono, not normalised",
            "batching": "one clip at a time, never padded",
        }
        text = f"{digest}|{self._choice.read}|{net.log_compression}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames [T, D] of each waveform [S].

        One without a single frame is filled up with zeros.
        """
        return [self._frames(waveform) for waveform in waveforms]

    def padded(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames as in a batch with zeros behind clips: only to compare."""
        longest = max(map(len, waveforms))
        filled = [pad(wav, (0, longest - len(wav))) for wav in waveforms]
        return self.extract(filled)

    @torch.no_grad()
    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        missing = max(0, self._net.seen - len(waveform))
        wav = pad(waveform, (0, missing)).to(self._device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = self._net(wav[None])
        return self._choice([found.extracted, *found.contexts])[0]


def wav2vec1(
    source: str | Path, layer: Layer = "last", device: str = "cpu"
) -> Wav2vec1Features:
    """Load a published file of fairseq's, by path or known name.

    Raises FileNotFoundError where there is none, ValueError for another kind.
    """
    path = resolve(source)
    net, in_file = read_wav2vec1(path)
    names = [str(source), path.stem]
    width = next(net.parameters()).shape[0]
    known = known_checkpoint(names, {"embed_dim": width})
    here = Path(source)
    return Wav2vec1Features(
        net,
        layer,
        device,
        {
            "kind": "trained encoder",
            "source": here.resolve().name if here.exists() else str(source),
            "card": {**card_of(known), **origin_of(path)},
            "parameters_with_prediction": in_file,
        },
    )
