"""Encoders of transformers: its own numbers, and no padding in them."""

import pytest
import torch

from speechbrain_e2v.downstream.upstreams.encoder import trained_encoder
from speechbrain_e2v.downstream.upstreams.huggingface import (
    huggingface_encoder,
)
from speechbrain_e2v.downstream.upstreams.leaks import measure_leak

transformers = pytest.importorskip("transformers")
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 20,
    "num_conv_pos_embedding_groups": 2,
}
LARGE = {**SIZES, "do_stable_layer_norm": True, "feat_extract_norm": "layer"}
DATA2VEC = {**SIZES, "num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19}
WHISPER = {
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "max_source_positions": 50,
    "vocab_size": 60000,
}
# name: (model type, sizes, normalises, a padded batch leaks)
MODELS = {
    "wav2vec2 base": ("wav2vec2", SIZES, True, True),
    "wav2vec2 large": ("wav2vec2", LARGE, True, False),
    "hubert base": ("hubert", SIZES, True, True),
    "hubert large": ("hubert", LARGE, True, False),
    "wavlm base": ("wavlm", SIZES, False, True),
    "wavlm large": ("wavlm", LARGE, True, False),
    "data2vec-audio": ("data2vec-audio", DATA2VEC, True, True),
    "whisper": ("whisper", WHISPER, False, False),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of a small random model, written by transformers."""
    made = {}

    def make(name):
        if name not in made:
            kind, sizes, normalises, _ = MODELS[name]
            path = tmp_path_factory.mktemp("model")
            config = transformers.AutoConfig.for_model(kind, **sizes)
            with torch.random.fork_rng():
                torch.manual_seed(1)
                model = transformers.AutoModel.from_config(config)
            model.save_pretrained(path)
            if kind == "whisper":
                extractor = transformers.WhisperFeatureExtractor(chunk_length=1)
            else:
                extractor = transformers.Wav2Vec2FeatureExtractor(
                    do_normalize=normalises,
                    return_attention_mask=sizes is LARGE,
                )
            extractor.save_pretrained(path)
            made[name] = path, model.eval(), extractor
        return made[name]

    return make


@pytest.fixture
def waveforms():
    generator = torch.Generator().manual_seed(2)
    lengths = (6000, 9000, 6000, 4321, 300, 13000)
    return [0.2 + torch.randn(n, generator=generator) for n in lengths]


@pytest.mark.parametrize("name", MODELS)
def test_a_clip_is_what_transformers_gives(name, folder, waveforms):
    path, model, extractor = folder(name)
    if name == "whisper":
        model = model.get_encoder()
    upstreams = {i: huggingface_encoder(path, layer=i) for i in (0, -1)}
    for index in (0, 3, 5):
        wav = waveforms[index]
        inputs = extractor(
            wav.numpy(), sampling_rate=16000, return_tensors="pt"
        )
        if name == "whisper":
            frames = -(-len(wav) // 320)
            given = {"input_features": inputs["input_features"]}
        else:
            frames = None
            given = {"input_values": inputs["input_values"]}
        with torch.no_grad():
            states = model(**given, output_hidden_states=True).hidden_states
        for layer, upstream in upstreams.items():
            (found,) = upstream.extract([wav])
            torch.testing.assert_close(
                found, states[layer][0, :frames], atol=1e-5, rtol=0
            )


@pytest.mark.parametrize("name", MODELS)
def test_what_a_clip_is_batched_with_is_nothing(name, folder, waveforms):
    path = folder(name)[0]
    upstream = huggingface_encoder(path, layer=-1)
    leak = measure_leak(upstream, waveforms[:4])
    assert leak.as_run < 1e-5 < 0.1 < leak.size
    assert (leak.padded > 1e-3) == MODELS[name][3], leak


@pytest.mark.parametrize("name", ["wavlm base", "whisper"])
def test_every_layer_one_after_the_other(name, folder, waveforms):
    path, model, _ = folder(name)
    layers = model.config.num_hidden_layers + 1
    every = huggingface_encoder(path, layer="weighted")
    assert every.dim == 16 * layers == 16 * every.description["layers"]
    found = every.extract(waveforms)
    for layer in range(layers):
        one = huggingface_encoder(path, layer=layer).extract(waveforms)
        for frames, expected in zip(found, one, strict=True):
            part = frames[:, 16 * layer : 16 * (layer + 1)]
            torch.testing.assert_close(part, expected)


def test_whisper_hears_windows_and_a_clip_ends_where_it_ends(folder):
    upstream = huggingface_encoder(folder("whisper")[0])
    wav = torch.randn(40000)
    whole, first, rest = upstream.extract([wav, wav[:32000], wav[32000:]])
    assert [len(x) for x in (whole, first, rest)] == [125, 100, 25]
    torch.testing.assert_close(whole, torch.cat([first, rest]))


def test_what_results_say(folder):
    path, model, _ = folder("wavlm base")
    upstream = huggingface_encoder(path, "wavlm", pretraining={"X": 2.0})
    said = upstream.description
    assert said["parameters"] == sum(p.numel() for p in model.parameters())
    assert said["architecture"] == "WavLMModel"
    assert said["card"] == {"name": "wavlm", "pretraining": {"X": 2.0}}
    assert said["preprocessing"].endswith("not normalised")
    assert "never padded" in said["batching"]
    assert said["source"] == path.name
    base = folder("wav2vec2 base")[0]
    others = {
        huggingface_encoder(path).digest,
        huggingface_encoder(path, layer=0).digest,
        huggingface_encoder(base).digest,
    }
    assert len(others) == 3
    assert huggingface_encoder(path).digest == upstream.digest
    whisper = huggingface_encoder(folder("whisper")[0]).description
    encoder = folder("whisper")[1].get_encoder()
    assert whisper["parameters"] == sum(p.numel() for p in encoder.parameters())


def test_normalisation_is_the_extractors_and_counts(folder, tmp_path):
    path, model, _ = folder("wavlm base")
    model.save_pretrained(tmp_path)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    extractor.save_pretrained(tmp_path)
    plain, other = (huggingface_encoder(x) for x in (path, tmp_path))
    weights = "weights_sha256"
    assert plain.description[weights] == other.description[weights]
    assert plain.digest != other.digest
    loud = torch.randn(5000) * 3 + 1
    quiet = (loud - loud.mean()) / loud.std(unbiased=False)
    torch.testing.assert_close(
        *(other.extract([x])[0] for x in (loud, quiet)), atol=1e-4, rtol=0
    )


def test_data2vec1_is_transformers_model_and_padding_proof(folder, waveforms):
    path = folder("data2vec-audio")[0]
    theirs, ours = huggingface_encoder(path), trained_encoder(path)
    for wav in waveforms[:4]:
        torch.testing.assert_close(
            ours.extract([wav]), theirs.extract([wav]), atol=1e-4, rtol=0
        )
    leak = measure_leak(ours, waveforms[:4])
    assert max(leak.padded, leak.as_run) < 1e-5
    assert "architecture" not in ours.description  # can be exported


@pytest.mark.parametrize("source", ["no/such-model", "nowhere"])
def test_what_cannot_be_had_is_one_line(source, tmp_path):
    for given in (source, tmp_path):
        with pytest.raises(ValueError, match="cannot be loaded.*--source") as e:
            huggingface_encoder(given, local_files_only=True)
        assert "\n" not in str(e.value)
