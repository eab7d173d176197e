"""Two upstreams as one."""

import functools

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.downstream.provenance import heard_caveats
from speechbrain_e2v.downstream.upstreams.encoder import FrozenEncoder
from speechbrain_e2v.downstream.upstreams.mfcc import MfccStatistics
from speechbrain_e2v.downstream.upstreams.side_by_side import SideBySide
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.training.upstream_yaml import upstream_file
from speechbrain_e2v.training.yaml_bases import merged_yaml

CARD = {"name": "small", "pretraining": {"EmoDB": 0.4}}


def encoder(device, card=None):
    torch.manual_seed(0)
    small = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    about = {"kind": "trained encoder", "card": card}
    return FrozenEncoder(small, -1, device, about)


def test_vectors_lie_side_by_side():
    parts = [MfccStatistics, functools.partial(encoder, card=CARD)]
    both = SideBySide(parts)
    waveforms = [torch.randn(9000), torch.randn(700)]
    found = both.extract(waveforms)
    means = [x.mean(dim=0) for x in encoder("cpu").extract(waveforms)]
    for row, left, right in zip(
        found, MfccStatistics().extract(waveforms), means, strict=True
    ):
        torch.testing.assert_close(row, torch.cat([left.flatten(), right]))
    assert both.dim == len(found[0]) == 480 + 16
    assert both.description["kind"] == "statistics of MFCCs and small"
    ours = both.description["parameters"]
    assert ours == both.description["parts"][1]["parameters"] > 0
    assert both.digest != SideBySide(parts[::-1]).digest


@pytest.mark.parametrize(
    ("cards", "corpus", "caveats"),
    [
        ([None], "EmoDB", []),
        ([CARD], "EmoDB", ["the encoder heard EmoDB in pretraining"]),
        ([CARD], "nEMO", []),
        (
            [CARD, {}],
            "nEMO",
            ["what the encoder heard in pretraining is not fully known"],
        ),
    ],
)
def test_what_any_part_has_heard(cards, corpus, caveats):
    parts = [functools.partial(encoder, card=card) for card in cards]
    card = SideBySide(parts).description.get("card")
    assert heard_caveats(card, corpus) == caveats


def test_speech_of_shi(tmp_path):
    """The yaml by its name, on a model of transformers with few weights."""
    pytest.importorskip("opensmile")
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, conv_dim=[8] * 7, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    model = transformers.Wav2Vec2Model(config)
    model.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    text = merged_yaml(upstream_file("egemaps-wav2vec2"))
    hparams = load_hyperpyyaml(text, {"source": str(tmp_path)})
    upstream = hparams["upstream"](device="cpu")
    (row,) = upstream.extract([torch.randn(16000)])
    assert upstream.dim == len(row) == 88 + 16
    assert upstream.description["kind"] == (
        "eGeMAPS functionals and wav2vec2-base-960h"
    )
    card = upstream.description["card"]
    assert card["pretraining"] == ["LibriSpeech"]
