"""The split into embedding and classifier changes no posterior."""

import pytest
import torch
from unit.inference.tiny import tiny_encoder

from speechbrain_e2v.downstream.upstreams.encoder import FrozenEncoder
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
    UtteranceNormalisation,
)
from speechbrain_e2v.lobes.heads import FrameMLPHead, LinearHead

SAMPLES = (16000, 400, 7001)


def padded():
    wav = torch.full((3, 16000), 9.0)  # padding is not even zero
    for row, samples in enumerate(SAMPLES):
        torch.manual_seed(row)
        wav[row, :samples] = torch.randn(samples)
    return wav, torch.tensor(SAMPLES) / 16000


def embed(model, wav, lengths):
    return model(UtteranceNormalisation()(wav, lengths), lengths)


@pytest.mark.parametrize("layer", [-1, 0])
def test_a_frame_head_is_reproduced(layer):
    encoder, head = tiny_encoder(), FrameMLPHead(24, 4, hidden=8).eval()
    model = UtteranceEmbedding(encoder, layer, hidden=8).eval()
    model.frame_layer = head.frame_layer
    classifier = EmbeddingClassifier(8, 4, temperature=2.0)
    classifier.output_layer = head.output_layer
    wav, lengths = padded()
    with torch.no_grad():
        embedding = embed(model, wav, lengths)
        found = classifier(embedding)
    upstream = FrozenEncoder(encoder, layer)
    for row, samples in enumerate(SAMPLES):
        [frames] = upstream.extract([wav[row, :samples]])
        logits = head(frames[None])[0]
        torch.testing.assert_close(
            found[row, 0], (logits / 2).log_softmax(0), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            embedding[row, 0, :24], frames.mean(0), atol=1e-5, rtol=0
        )


def test_a_linear_head_is_reproduced():
    encoder, head = tiny_encoder(), LinearHead(24, 4).eval()
    classifier = EmbeddingClassifier(24, 4)
    classifier.output_layer = head.output_layer
    wav, lengths = padded()
    with torch.no_grad():
        embedding = embed(UtteranceEmbedding(encoder).eval(), wav, lengths)
        found = classifier(embedding)
    assert embedding.shape == (3, 1, 24)
    [frames] = FrozenEncoder(encoder).extract([wav[2, :7001]])
    torch.testing.assert_close(
        found[2, 0], head(frames[None])[0].log_softmax(0), atol=1e-5, rtol=0
    )


def test_less_than_a_frame_is_named():
    model = UtteranceEmbedding(tiny_encoder())
    with pytest.raises(ValueError, match="utterance 1 .* 399 samples"):
        model(torch.randn(2, 1000), torch.tensor([1.0, 0.399]))


def test_there_must_be_such_a_layer():
    with pytest.raises(ValueError, match="layer is 2, but the encoder has 2"):
        UtteranceEmbedding(tiny_encoder(), layer=2)


def test_a_temperature_is_positive():
    with pytest.raises(ValueError, match="temperature is 0"):
        EmbeddingClassifier(3, 2, temperature=0)
