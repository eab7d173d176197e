"""wav2vec and vq-wav2vec against the reference: features, codes, counts."""

import numpy as np
import pytest
import torch
from torch import nn

from speechbrain_e2v.lobes.wav2vec1 import (
    EXTRACTOR,
    GumbelQuantiser,
    KMeansQuantiser,
    Wav2vec1,
)

DEEPER = (*EXTRACTOR, (1, 1))
VQ = {"extractor": DEEPER, "activation": nn.GELU, "log_compression": False}
TINY = {
    "wav2vec1_tiny": {},
    "vqw2v_gumbel_tiny": VQ | {"quantiser": (GumbelQuantiser, {})},
    "vqw2v_gumbel_combined_tiny": VQ
    | {"quantiser": (GumbelQuantiser, {"depth": 1, "shared": True})},
    "vqw2v_kmeans_tiny": VQ | {"quantiser": (KMeansQuantiser, {})},
}
# Of a contrastive step; the published count has it, features do not.
PREDICTION_HEAD = 3_146_240


def built(name):
    options = dict(TINY[name])
    if "quantiser" in options:
        kind, arguments = options["quantiser"]
        options["quantiser"] = kind(16, entries=12, **arguments)
    return Wav2vec1(16, **options).eval()


@pytest.mark.parametrize("name", TINY)
def test_features_and_codes(name, golden):
    net = built(name)
    state = golden(f"{name}_state.safetensors")
    head = {k for k in state if k.startswith("wav2vec_predictions.")}
    net.load_state_dict({k: v for k, v in state.items() if k not in head})
    arrays = golden(name)
    utterances = sorted({k.split("/")[0] for k in arrays if k[:3] == "utt"})
    assert len(utterances) >= 2
    for utterance in utterances:
        audio = arrays[f"{utterance}/audio_int16"].astype(np.float32) / 32768
        with torch.no_grad():
            found = net(torch.from_numpy(audio)[None])
        close = {
            "z_BTC": found.extracted,
            "c_BTC": found.contexts[-1],
            "s3prl_hidden_0": found.extracted,
        }
        for layer, context in enumerate(found.contexts, start=1):
            close[f"s3prl_hidden_{layer}"] = context
        for kind, value in close.items():
            if f"{utterance}/{kind}" in arrays:
                expected = torch.from_numpy(arrays[f"{utterance}/{kind}"])
                torch.testing.assert_close(
                    value, expected, atol=1e-4, rtol=0, msg=kind
                )
        if found.codes is not None:
            expected = arrays[f"{utterance}/codeids_BTG"]
            assert np.array_equal(found.codes.numpy(), expected)


@pytest.mark.parametrize(
    ("options", "quantiser", "count"),
    [
        ({}, None, 32_537_088),
        (VQ, lambda: GumbelQuantiser(512), 34_145_408),
        (VQ, lambda: GumbelQuantiser(512, shared=True), 34_063_488),
        (VQ, lambda: KMeansQuantiser(512), 33_096_192),
        (VQ, lambda: KMeansQuantiser(512, shared=True), 33_014_272),
    ],
)
def test_counts(options, quantiser, count):
    with torch.device("meta"):
        net = Wav2vec1(**options, quantiser=quantiser() if quantiser else None)
    found = sum(p.numel() for p in net.parameters())
    assert found + PREDICTION_HEAD == count


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match="one utterance at a time"):
        Wav2vec1(16)(torch.zeros(2, 16000))
    with pytest.raises(ValueError, match="465 samples"):
        Wav2vec1(16)(torch.zeros(1, 464))
