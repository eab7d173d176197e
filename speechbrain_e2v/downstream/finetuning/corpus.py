"""Utterances as waveforms, and the encoder that is tuned on them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import pad

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.feature_cache import audio_digest
from speechbrain_e2v.downstream.upstreams import Upstream
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class TunableCorpus:
    """What a fold's training needs of the corpus, and where it starts from.

    ``encoder`` itself is never changed: each fold trains a copy. ``dim`` is
    the width of what a head gets of ``layer``.
    """

    def __init__(
        self,
        encoder: WaveformEncoder,
        layer: Layer,
        dim: int,
        utterances: Sequence[Utterance],
        digest: str,
    ) -> None:
        self.encoder = encoder
        self.layer = layer
        self.dim = dim
        self.utterances = {u.id: u for u in utterances}
        self.digest = digest

    def samples(self, name: str) -> int:
        """Samples of an utterance at 16,000 Hz, at least those of a frame."""
        return max(self.utterances[name].samples_at_16k, MIN_SAMPLES)

    def waveform(self, name: str) -> torch.Tensor:
        """[S] at 16,000 Hz, filled up with zeros to one frame."""
        utterance = self.utterances[name]
        wav = read_audio(utterance.wav, utterance.start, utterance.stop)
        return pad(wav, (0, max(0, MIN_SAMPLES - len(wav))))


class TunableEncoder:
    """Inputs of a task whose trainer trains the encoder, too."""

    name = "fine-tuned encoder"
    keys: tuple[str, ...] = ()
    ranks = True

    def store(
        self,
        hparams: Mapping[str, Any],
        upstream: Upstream,
        utterances: Sequence[Utterance],
    ) -> TunableCorpus:
        """The corpus with the upstream's encoder.

        Raises ValueError for an upstream that is no encoder of this package.
        """
        encoder = getattr(upstream, "encoder", None)
        if not isinstance(encoder, WaveformEncoder):
            raise ValueError(
                f"the upstream is {upstream.description['kind']}, which has "
                "no encoder to tune: emotion2vec, data2vec 2.0 and data2vec "
                "v1 have one"
            )
        layer = upstream.description["layer"]
        # Objectives read votes and ratings, too.
        said = [[u.id, u.votes, u.extra] for u in utterances]
        text = (
            f"tuned|{upstream.description['weights_sha256']}|{layer}|"
            f"{audio_digest(utterances)}|{json.dumps(said, sort_keys=True)}"
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        return TunableCorpus(encoder, layer, upstream.dim, utterances, digest)
