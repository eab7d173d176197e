"""FunASR itself loads what is written here; skipped where it is not installed.

It is a large package with pins of its own, so not in requirements-dev.txt:
``pip install funasr`` into an environment of its own. Last run with 1.4.16.
"""

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.tiny import noise, tiny_encoder

from speechbrain_e2v.downstream.pseudo_labels.nine_classes import (
    NINE,
    with_nine_tokens,
)
from speechbrain_e2v.inference.own_encoder import published_head
from speechbrain_e2v.inference.trained import TrainedClassifier, corpus_labels
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import Pretrained
from speechbrain_e2v.published.write import write_funasr


def test_funasr_gives_our_scores_of_the_nine(tmp_path):
    funasr = pytest.importorskip("funasr")
    encoder = tiny_encoder()
    torch.manual_seed(0)
    classifier = EmbeddingClassifier(encoder.embed_dim, len(NINE))
    classifier.output_layer.weight.data *= 5
    classifier.output_layer.bias.data[8] = -torch.inf  # never trained
    trained = with_nine_tokens(
        TrainedClassifier(
            UtteranceEmbedding(encoder), classifier, corpus_labels(NINE)
        )
    )
    head = published_head(trained)
    model = Pretrained(encoder, {}, "funasr", None, head)
    folder = write_funasr(tmp_path / "model", model)
    wav = noise(16000, 0)
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    theirs = funasr.AutoModel(
        model=str(folder), disable_update=True, device="cpu"
    )
    (found,) = theirs.generate(
        str(tmp_path / "a.wav"),
        granularity="utterance",
        extract_embedding=False,
    )
    assert tuple(found["labels"]) == NINE_TOKENS
    ours = trained.log_posteriors([torch.from_numpy(wav)])[0].exp()[0]
    np.testing.assert_allclose(found["scores"], ours, atol=1e-6)
    assert found["scores"][8] == 0
