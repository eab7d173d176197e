"""data2vec v1: features against the reference, padding, other libraries."""

import pytest
import torch

from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.published.data2vec1_layout import read_data2vec1
from speechbrain_e2v.published.data2vec1_names import TRAINING_ONLY

TINY = {"encoder_attention_heads": 4}


@pytest.fixture(scope="module")
def tiny(golden):
    state = golden("d2v1_tiny_fairseq_state.safetensors")
    found = read_data2vec1(state, TINY, "tiny")
    encoder = Data2vec1Encoder(**found.sizes).eval()
    encoder.load_state_dict(
        {k: v for k, v in found.encoder.items() if k not in TRAINING_ONLY}
    )
    return encoder


def normalised(arrays, name):
    wav = torch.from_numpy(arrays[f"{name}/audio"])[None]
    return normalise_waveform(wav)


@pytest.mark.parametrize("name", ["utt0", "utt1", "utt2"])
def test_features(tiny, golden, name):
    arrays = golden("d2v1_tiny")
    with torch.no_grad():
        found = tiny(normalised(arrays, name))
    expected = torch.from_numpy(arrays[f"{name}/x"])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_every_block(tiny, golden):
    arrays = golden("d2v1_tiny")
    with torch.no_grad():
        local = tiny.local_features(normalised(arrays, "utt0"))
        states = list(tiny.run_blocks(local))
    for layer in (0, 2):
        for value, kind in zip(states[layer], ("x", "ffn"), strict=True):
            expected = arrays[f"utt0/layer{layer}_{kind}_TBC"]
            expected = torch.from_numpy(expected).transpose(0, 1)
            torch.testing.assert_close(value, expected, atol=1e-4, rtol=0)


def test_a_batch_is_its_utterances(tiny, golden):
    arrays = golden("d2v1_tiny")
    wavs = [normalised(arrays, f"utt{i}")[0] for i in range(3)]
    batch = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    lengths = torch.tensor([len(wav) / batch.shape[1] for wav in wavs])
    with torch.no_grad():
        together = tiny(batch, lengths)
        for row, wav in zip(together, wavs, strict=True):
            alone = tiny(wav[None])[0]
            torch.testing.assert_close(
                row[: len(alone)], alone, atol=1e-5, rtol=0
            )
            assert not row[len(alone) :].any()
