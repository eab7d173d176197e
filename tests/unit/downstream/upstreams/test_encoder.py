"""Encoders as upstreams: right layer, no padding, right weights."""

import pytest
import torch

from speechbrain_e2v.downstream.upstreams.encoder import (
    FrozenEncoder,
    random_encoder,
    trained_encoder,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.published.encoder_folder import save_encoder

SIZES = {
    "embed_dim": 16,
    "num_heads": 4,
    "prenet_depth": 1,
    "depth": 2,
    "num_extra_tokens": 2,
    "conv_channels": 8,
    "pos_conv_groups": 4,
}


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Emotion2vecEncoder(**SIZES).eval()


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    return save_encoder(
        tmp_path_factory.mktemp("enc"), encoder, {"pretraining": {"X": 1.0}}
    )


@pytest.mark.parametrize("layer", [0, 1, 2, -1])
def test_batched_features_equal_single_ones_of_the_layer(encoder, layer):
    torch.manual_seed(1)
    waveforms = [0.1 + torch.randn(n) for n in (6000, 3000, 400, 4321)]
    found = FrozenEncoder(encoder, layer).extract(waveforms)
    for waveform, frames in zip(waveforms, found, strict=True):
        with torch.no_grad():
            wav = normalise_waveform(waveform[None])
            expected = encoder.hidden_states(wav)[layer][0]
        torch.testing.assert_close(frames, expected, atol=1e-5, rtol=1e-5)


def test_audio_without_a_frame_is_filled_up(encoder):
    waveform = torch.randn(100)
    (frames,) = FrozenEncoder(encoder).extract([waveform])
    with torch.no_grad():
        padded = torch.cat([waveform, torch.zeros(300)])[None]
        expected = encoder(normalise_waveform(padded))[0]
    torch.testing.assert_close(frames, expected)


def test_folder_gives_the_weights_and_the_card(encoder, folder):
    upstream = trained_encoder(folder)
    waveforms = [torch.randn(2000)]
    expected = FrozenEncoder(encoder)
    assert upstream.digest == expected.digest
    assert torch.equal(
        upstream.extract(waveforms)[0], expected.extract(waveforms)[0]
    )
    assert upstream.description["card"]["pretraining"] == {"X": 1.0}
    assert not any(p.requires_grad for p in upstream.encoder.parameters())


def test_random_encoder_has_the_sizes_but_not_the_weights(encoder, folder):
    one, same, other = (random_encoder(folder, seed=s) for s in (1, 1, 2))
    assert one.encoder.config == encoder.config
    digests = {u.digest for u in (one, other, FrozenEncoder(encoder))}
    assert one.digest == same.digest
    assert len(digests) == 3
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    random_encoder(folder, seed=1)
    assert torch.equal(torch.rand(1), expected)


def test_digest_depends_on_the_layer(encoder):
    digests = [FrozenEncoder(encoder, layer).digest for layer in (0, 1, 2, -1)]
    assert digests[2] == digests[3]
    assert len(set(digests)) == 3


def test_what_is_not_there_is_named(encoder, tmp_path):
    with pytest.raises(ValueError, match="layer is 3.*use 0 to 2"):
        FrozenEncoder(encoder, 3)
    for make in (trained_encoder, random_encoder):
        with pytest.raises(
            FileNotFoundError, match="there is no file or folder .*nothing"
        ):
            make(tmp_path / "nothing")


def test_random_encoder_has_the_sizes_of_a_published_file(tmp_path):
    from unit.published.published_tiny import tiny_pair, write_fairseq

    path = write_fairseq(tmp_path / "emotion2vec_base.pt", tiny_pair()[0])
    random, trained = random_encoder(path), trained_encoder(path)
    assert random.encoder.config == trained.encoder.config
    assert random.digest != trained.digest


@pytest.mark.parametrize("layer", ["all", "weighted"])
def test_all_layers_lie_one_after_the_other(encoder, layer):
    waveforms = [torch.randn(3000), torch.randn(1700)]
    every = FrozenEncoder(encoder, layer)
    assert every.dim == 48 and every.description["layer"] == layer
    for index in range(3):
        single = FrozenEncoder(encoder, index).extract(waveforms)
        for found, one in zip(every.extract(waveforms), single, strict=True):
            part = found[:, 16 * index : 16 * (index + 1)]
            torch.testing.assert_close(part, one)


def test_names_are_the_indices_that_they_stand_for(encoder):
    last, named = FrozenEncoder(encoder), FrozenEncoder(encoder, "last")
    assert last.description == named.description
    assert last.digest == named.digest
    with pytest.raises(ValueError, match="has 3 layers"):
        FrozenEncoder(encoder, "mean_last_4")


def test_mean_of_several_layers(encoder):
    waveforms = [torch.randn(3000), torch.randn(1700)]
    single = [FrozenEncoder(encoder, i).extract(waveforms) for i in (1, 2)]
    both = FrozenEncoder(encoder, [-1, 1])
    for found, one, two in zip(both.extract(waveforms), *single, strict=True):
        torch.testing.assert_close(found, (one + two) / 2)
    assert both.description["layer"] == [1, 2]
    assert both.digest == FrozenEncoder(encoder, [1, 2]).digest
    assert both.digest != FrozenEncoder(encoder, [0, 2]).digest
    assert FrozenEncoder(encoder, [2]).digest == FrozenEncoder(encoder).digest
    for layer in ([], [0, 3]):
        with pytest.raises(ValueError, match="the encoder has 3"):
            FrozenEncoder(encoder, layer)


def test_tokens_stand_before_the_frames(encoder):
    waveforms = [torch.randn(n) for n in (3000, 1700, 3000)]
    found = {
        features: FrozenEncoder(encoder, "all", features=features)
        for features in ("frames", "tokens", "both")
    }
    assert len({upstream.digest for upstream in found.values()}) == 3
    assert found["tokens"].description["features"] == "tokens"
    frames, tokens, both = (u.extract(waveforms) for u in found.values())
    for index, wav in enumerate(waveforms):
        assert tokens[index].shape == (2, 48)
        torch.testing.assert_close(
            both[index], torch.cat([tokens[index], frames[index]])
        )
        for kind, several in zip(found, (frames, tokens, both), strict=True):
            (alone,) = found[kind].extract([wav])
            torch.testing.assert_close(several[index], alone)
    local = encoder.local_features(normalise_waveform(waveforms[1][None]))
    with torch.no_grad():
        for state, _ in encoder.context(local):
            last = state
    torch.testing.assert_close(tokens[1][:, 32:], last[0, :2])


def test_tokens_where_there_are_none(encoder):
    without = Emotion2vecEncoder(**{**SIZES, "num_extra_tokens": 0})
    for features, one in (("tokens", without), ("utterance", encoder)):
        with pytest.raises(ValueError, match=f"features is '{features}'"):
            FrozenEncoder(one, features=features)
