"""WavLM's encoder equals Vesper's reference and transformers' WavLM."""

import hashlib

import numpy as np
import pytest
import torch

from speechbrain_e2v.lobes.batching import waveform_batch
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.lobes.relative_bias import (
    DistanceBias,
    GatedSelfAttention,
    RelativePositions,
    distance_buckets,
)
from speechbrain_e2v.lobes.wavlm import WavLMEncoder
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.published.sizes import build_encoder, sizes_of
from speechbrain_e2v.published.wavlm_layout import published_names, read_wavlm


def close(ours, theirs, atol=1e-4):
    ours = ours.detach().numpy() if torch.is_tensor(ours) else ours
    np.testing.assert_allclose(ours, theirs, atol=atol, rtol=0)


@pytest.fixture
def tiny(golden):
    found = read_wavlm(golden("vesper_tiny_state.safetensors"), None, "tiny")
    assert len(found.dropped) == 12  # three predictors
    return build_encoder(found.sizes, found.encoder, "tiny")


def raw(arrays, name):
    """[S]."""
    audio = torch.from_numpy(arrays[f"{name}/audio_int16"].astype(np.float32))
    return audio / 32768


def waveform(arrays, name):
    """[1, S], normalised."""
    return normalise_waveform(raw(arrays, name)[None])


@pytest.mark.parametrize(
    ("depth", "count"), [(4, 63_515_872), (12, 164_289_952)]
)
def test_published_sizes(depth, count):
    with torch.device("meta"):
        encoder = WavLMEncoder(depth=depth)
    assert sum(p.numel() for p in encoder.parameters()) == count
    assert not list(encoder.buffers())


@pytest.mark.parametrize(
    ("buckets", "distance"), [(320, 800), (64, 200), (32, 128)]
)
def test_buckets(golden, buckets, distance):
    arrays = golden("vesper_bias")
    found = distance_buckets(
        torch.from_numpy(arrays["distance_key_minus_query"]).long(),
        buckets,
        distance,
    )
    assert found.tolist() == (
        arrays[f"bucket_n{buckets}_max{distance}"].tolist()
    )


def attention_of(arrays, name):
    """A module with the reference's weights, as `name` stores them."""
    module = GatedSelfAttention(32, 4).eval()
    state = {
        key.removeprefix(f"{name}/state/"): torch.from_numpy(value)
        for key, value in arrays.items()
        if key.startswith(f"{name}/state/")
    }
    for ours, parameter in module.named_parameters():
        theirs = published_names(f"context.blocks.0.attention.{ours}")
        parts = [
            state[part.removeprefix("encoder.layers.0.self_attn.")]
            for part in theirs
        ]
        parameter.data.copy_(torch.cat(parts).reshape(parameter.shape))
    return module


@torch.no_grad()
def test_gated_attention(golden):
    """Gates, bias and output; a second module shares the first one's bias."""
    arrays = golden("vesper_bias")
    positions = RelativePositions(4)
    table = arrays["attn/state/relative_attention_bias.weight"]
    positions.table.data.copy_(torch.from_numpy(table))
    x = torch.from_numpy(arrays["attn/input"])
    real = ~torch.from_numpy(arrays["attn/key_padding_mask"])
    bias = positions(x.shape[1], real)
    everything = slice(0, x.shape[1])
    close(bias.between(everything, everything), arrays["attn/bias_HTT"])
    first = attention_of(arrays, "attn")
    close(first.gates(x), arrays["attn/gate"])
    close(first(x, bias), arrays["attn/output"])
    close(attention_of(arrays, "attn2")(x, bias), arrays["attn2/output"])


@torch.no_grad()
def test_bias_of_real_size(golden):
    arrays = golden("vesper_bias")
    positions = RelativePositions(16)
    table = torch.from_numpy(arrays["bias_real_16heads_table_seed5"])
    positions.table.data.copy_(table)
    found = positions(249).between(slice(0, 249), slice(0, 249))
    for row in (0, 248):
        stored = arrays[f"bias_real_16heads_T249_head3_row{row}"]
        close(found[3, row], stored)
    sums = found.double().sum((1, 2))
    close(sums, arrays["bias_real_16heads_T249_sum_per_head"], 1e-2)


@pytest.mark.parametrize("name", ["utt0", "utt1", "utt2"])
@torch.no_grad()
def test_every_state(tiny, golden, name):
    arrays = golden("vesper_tiny_features")
    states = tiny.hidden_states(waveform(arrays, name))
    assert len(states) == tiny.num_layers == 5
    for layer, state in enumerate(states):
        close(state, arrays[f"{name}/hidden_{layer}"])


@torch.no_grad()
def test_front_end(tiny, golden):
    arrays = golden("vesper_tiny_features")
    local = tiny.local_features(waveform(arrays, "utt2"))
    close(local, arrays["utt2/inter/projected"])
    convolved = tiny.context.positional(local).transpose(1, 2)
    close(convolved, arrays["utt2/inter/pos_conv_BCT"])
    state = next(tiny.context(local))
    block = tiny.context.blocks[0]
    close(block.norm1(state), arrays["utt2/inter/attn_0_input"])
    attended = block.attention(
        block.norm1(state), tiny.context.relative(local.shape[1])
    )
    close(attended, arrays["utt2/inter/attn_0_output"])


@torch.no_grad()
def test_batch_of_the_reference(tiny, golden):
    """Normalised together with its padding, and a frame more than there is."""
    arrays = golden("vesper_tiny_features")
    waves = [raw(arrays, f"utt{i}") for i in range(3)]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    padding = torch.from_numpy(arrays["batch/frame_padding_mask"])
    num_frames = (~padding).sum(1)
    local = tiny.local_features(normalise_waveform(batch))
    real = frame_mask(num_frames, local.shape[1])
    for layer, state in enumerate(tiny.context(local, num_frames)):
        close(state[real], arrays[f"batch/hidden_{layer}"][real.numpy()])


@torch.no_grad()
def test_a_batch_is_its_utterances(tiny, golden):
    arrays = golden("vesper_tiny_features")
    names = ["utt0", "utt1", "utt2"]
    batch = waveform_batch([raw(arrays, name) for name in names])
    together = tiny.hidden_states(batch.wav, batch.lengths)
    for row, name in enumerate(names):
        for state, alone in zip(
            together, tiny.hidden_states(waveform(arrays, name)), strict=True
        ):
            frames = alone.shape[1]
            close(state[row, :frames], alone[0], 1e-5)
            assert not state[row, frames:].any()


@torch.no_grad()
def test_queries_in_turn_and_a_window(tiny, monkeypatch):
    """The same numbers however few queries are taken at once."""
    wav = normalise_waveform(torch.randn(2, 20000))
    lengths = torch.tensor([1.0, 0.7])
    whole = tiny(wav, lengths)
    wide = list(tiny.states(wav, lengths, window=200))[-1]
    narrow = list(tiny.states(wav, lengths, window=5))[-1]
    monkeypatch.setattr(
        "speechbrain_e2v.lobes.relative_bias.BIAS_ELEMENTS", 8 * 62 * 7
    )
    assert len(DistanceBias(torch.zeros(4, 123)).blocks(2)) == 9
    close(tiny(wav, lengths), whole, 1e-5)
    close(wide, whole, 1e-5)
    again = list(tiny.states(wav, lengths, window=5))[-1]
    close(again, narrow, 1e-5)
    assert (narrow - whole).abs().max() > 1e-3


class Filled(dict):
    """Released tensors whose values follow from their names and a seed."""

    def __missing__(self, name):
        shape = self["shapes"][name]
        text = f"{self['seed']}:{name}".encode()
        key = int(hashlib.sha256(text).hexdigest()[:8], 16)
        z = np.random.RandomState(key).standard_normal(shape)
        last = name.rsplit(".", 1)[-1]
        if last == "grep_a":
            z = 1 + 0.3 * z
        elif last == "weight_g":
            z = 1 + 0.2 * np.abs(z)
        elif "relative_attention_bias" in name:
            z = 0.5 * z
        elif len(shape) == 1 and last == "weight":
            z = 1 + 0.1 * z
        elif last == "bias" or len(shape) == 1:
            z = 0.05 * z
        else:
            z = z / np.sqrt(np.prod(shape[1:]))
        return z.astype(np.float32)


@torch.no_grad()
def test_vesper_4_of_real_size(golden):
    arrays = golden("rivals/vesper4_full")
    encoder = WavLMEncoder().eval()
    for name, parameter in encoder.named_parameters():
        theirs = published_names(name)
        first, *rest = parameter.shape
        shape = (first // len(theirs), *rest)
        if name.endswith("gate_scale"):
            shape = (1, first, 1, 1)
        filled = Filled(seed=4004, shapes=dict.fromkeys(theirs, shape))
        parts = [torch.from_numpy(filled[part]) for part in theirs]
        parameter.copy_(torch.cat(parts).reshape(parameter.shape))
    arrays = {f"utt/{name}": value for name, value in arrays.items()}
    states = encoder.hidden_states(waveform(arrays, "utt"))
    for layer, state in enumerate(states):
        close(state, arrays[f"utt/hidden_{layer}"], 1e-3)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
@torch.no_grad()
def test_as_transformers_computes_it(tmp_path, wrapped):
    """A folder of the real library; the last LayerNorm is left out."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(5)
    config = transformers.WavLMConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        conv_dim=(16,) * 7,
        conv_bias=False,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=128,
        num_conv_pos_embedding_groups=4,
        num_labels=3,
    )
    kind = "WavLMForSequenceClassification" if wrapped else "WavLMModel"
    model = getattr(transformers, kind)(config).eval()
    inner = model.wavlm if wrapped else model
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "model")
    encoder, _ = load_pretrained(tmp_path / "model")
    assert sizes_of(encoder)["kind"] == "wavlm"
    wav = normalise_waveform(torch.randn(1, 9000))
    found = inner(wav, output_hidden_states=True)
    states = encoder.hidden_states(wav)
    for ours, theirs in zip(states[:-1], found.hidden_states, strict=False):
        close(ours, theirs, 1e-4)
    normed = inner.encoder.layer_norm(states[-1])
    close(normed, found.last_hidden_state, 1e-4)


def test_the_base_kind_is_refused(golden):
    state = golden("vesper_tiny_state.safetensors")
    with pytest.raises(ValueError, match="post-norm blocks, as WavLM base"):
        read_wavlm(state, {"do_stable_layer_norm": False}, "tiny")
    del state["vesper.encoder.layers.1.fc1.bias"]
    with pytest.raises(ValueError, match=r"missing encoder.layers.1.fc1.bias"):
        read_wavlm(state, None, "tiny")
