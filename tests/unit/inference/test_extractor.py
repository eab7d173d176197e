"""The extractor against the encoder called on one clip after the other."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_e2v.corpora.audio import AudioError, read_audio
from speechbrain_e2v.inference import Emotion2vec
from speechbrain_e2v.inference.clips import TooShort
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.published.encoder_folder import save_encoder


def tiny(**changes):
    sizes = {
        "embed_dim": 24,
        "num_heads": 2,
        "prenet_depth": 2,
        "depth": 3,
        "num_extra_tokens": 2,
        "conv_channels": 16,
        "pos_conv_groups": 2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Emotion2vecEncoder(**{**sizes, **changes}).eval()


@pytest.fixture(scope="module")
def model():
    return Emotion2vec(tiny())


def noise(samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(samples, generator=generator)


@torch.no_grad()
def states_of(model, wav):
    """All layers of one clip, [L, T, D], without the extractor."""
    wav = normalise_waveform(wav[None])
    return torch.cat(model.encoder.hidden_states(wav))


def test_batches_equal_single_clips_from_400_samples_to_60_s(model):
    lengths = [9001, 400, 960_000, 719, 720, 16_000, 480_001, 5003, 48_000]
    waves = [noise(n, seed=n) for n in lengths]
    every = model.extract(waves, 16000, "frame", batch_seconds=2000)
    assert len(model.batches(lengths, 2000)) == 1
    for wav, ours in zip(waves, every, strict=True):
        expected = states_of(model, wav)[-1]
        torch.testing.assert_close(ours.values, expected, atol=1e-5, rtol=0)
        assert len(ours.times) == len(expected)
        assert ours.seconds == len(wav) / 16000


def test_results_do_not_depend_on_the_budget(model):
    waves = [noise(n) for n in (30_000, 400, 8000, 21_000, 1000)]
    expected = model.extract(waves, 16000, batch_seconds=0.01)
    for budget in (1.5, 4, None):
        ours = model.extract(waves, 16000, batch_seconds=budget)
        for x, y in zip(ours, expected, strict=True):
            torch.testing.assert_close(x.values, y.values, atol=1e-5, rtol=0)


LAYERS = {
    "last": lambda states: states[-1],
    0: lambda states: states[0],
    3: lambda states: states[3],
    -2: lambda states: states[-2],
    "all": lambda states: states,
    "mean_last_4": lambda states: states[-4:].mean(0),
}


@pytest.mark.parametrize("granularity", ["frame", "utterance"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_and_granularities(model, layer, granularity):
    waves = [noise(7000), noise(12_345)]
    found = model.extract(waves, 16000, granularity, layer, batch_seconds=100)
    for wav, ours in zip(waves, found, strict=True):
        expected = LAYERS[layer](states_of(model, wav))
        if granularity == "utterance":
            expected = expected.mean(-2)
        assert ours.values.shape == expected.shape
        torch.testing.assert_close(ours.values, expected, atol=1e-5, rtol=0)


def test_blocks_behind_the_layer_are_not_computed(model, monkeypatch):
    ran = []
    for index, block in enumerate(model.encoder.context.blocks):
        block.register_forward_pre_hook(lambda *_, i=index: ran.append(i))
    model.extract(noise(2000), 16000, layer=1)
    for block in model.encoder.context.blocks:
        block._forward_pre_hooks.clear()
    assert ran == [0, 1]


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_any_file_and_the_same_array(model, tmp_path, rate, channels, suffix):
    wave = noise(rate * channels).view(rate, channels).numpy()
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, wave, rate, subtype="PCM_24")
    expected = states_of(model, read_audio(path))[-1]
    assert expected.shape == (49, 24)
    of_file = model.extract(path, granularity="frame")
    assert of_file.name == str(path)
    torch.testing.assert_close(of_file.values, expected, atol=1e-5, rtol=0)
    stored, _ = soundfile.read(path, dtype="float32")
    of_array = model.extract(stored, rate, "frame")
    torch.testing.assert_close(of_array.values, expected, atol=1e-5, rtol=0)


def test_integer_pcm_is_scaled(model):
    wave = noise(4000)
    pcm = (wave * 2**15).round().to(torch.int16)
    ours = model.extract([pcm.numpy(), pcm.float() / 2**15], 16000)
    torch.testing.assert_close(ours[0].values, ours[1].values)


def test_time_axis(model):
    times = model.extract(noise(16000), 16000).times
    assert times.dtype == torch.float64 and len(times) == 49
    assert times[0].item() == 0.0125
    assert times[48].item() == pytest.approx((320 * 48 + 200) / 16000)


def test_one_path_is_one_result_and_a_list_is_a_list(model):
    assert model.extract(noise(2000), 16000).values.shape == (24,)
    [found] = model.extract([noise(2000)], 16000)
    assert found.values.shape == (24,)
    assert model.extract([]) == []


def test_too_short(model, tmp_path):
    path = tmp_path / "click.wav"
    soundfile.write(path, noise(199).numpy(), 8000)
    with pytest.raises(TooShort, match=r"click\.wav: 398 samples.*needs 400"):
        model.extract([path])
    found = model.extract(path, granularity="frame", pad_short=True)
    wav = torch.cat([read_audio(path), torch.zeros(2)])
    torch.testing.assert_close(found.values, states_of(model, wav)[-1])
    assert found.seconds == 398 / 16000 and len(found.times) == 1


def test_bad_input_is_found_before_any_work(model, monkeypatch, tmp_path):
    monkeypatch.setattr(model, "encode", lambda *_: pytest.fail("worked"))
    good = noise(2000)
    soundfile.write(tmp_path / "empty.wav", [], 16000)
    with pytest.raises(AudioError, match="empty"):
        model.extract([tmp_path / "empty.wav"])
    with pytest.raises(AudioError, match="no.wav: missing"):
        model.extract([good, tmp_path / "no.wav"], 16000)
    with pytest.raises(AudioError, match="array 1: non_finite.*sample 7"):
        broken = good.clone()
        broken[7] = torch.nan
        model.extract([good, broken], 16000)
    with pytest.raises(ValueError, match="array 0: a waveform needs"):
        model.extract([good])
    with pytest.raises(ValueError, match=r"shape \(2, 2000\)"):
        model.extract(torch.stack([good, good]), 16000)
    with pytest.raises(ValueError, match="uint8"):
        model.extract(np.zeros(2000, dtype=np.uint8), 16000)
    for wrong in (
        {"granularity": "word"},
        {"layer": 5},
        {"layer": "first"},
        {"window": 0},
        {"batch_seconds": 0},
    ):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"{name} is"):
            model.extract([good], 16000, **wrong)


def test_mean_of_four_needs_four_layers():
    model = Emotion2vec(tiny(prenet_depth=1, depth=2))
    with pytest.raises(ValueError, match="has 3 layers"):
        model.extract(noise(2000), 16000, layer="mean_last_4")


def test_window(model):
    wav = noise(32_000)
    exact = model.extract(wav, 16000, "frame").values
    wide = model.extract(wav, 16000, "frame", window=2.0).values
    narrow = model.extract(wav, 16000, "frame", window=0.1).values
    torch.testing.assert_close(wide, exact, atol=1e-5, rtol=0)
    assert (narrow - exact).abs().max() > 1e-4


def test_from_pretrained(model, tmp_path):
    save_encoder(tmp_path, model.encoder, {"name": "tiny"})
    again = Emotion2vec.from_pretrained(tmp_path, device="cpu")
    assert again.card["name"] == "tiny"
    wav = noise(3000)
    torch.testing.assert_close(
        again.extract(wav, 16000).values, model.extract(wav, 16000).values
    )


MEMORY = """
import torch
from speechbrain_e2v.inference import Emotion2vec
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(x.split()[1]) for x in lines if x.startswith(field))

encoder = Emotion2vecEncoder(
    embed_dim=16, num_heads=4, prenet_depth=1, depth=1, conv_channels=16,
    pos_conv_groups=4)
model = Emotion2vec(encoder)
model.extract(torch.randn(16000), 16000)
wav = torch.randn(120 * 16000)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forget the peak so far
before = status("VmRSS")
assert model.extract(wav, 16000, "frame").values.shape == (5999, 16)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the peak is read from /proc"
)
def test_memory_of_long_audio(repository):
    """One [H, T, T] tensor of these two minutes would be 549 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < 200


def test_nothing_slow_is_imported_for_features_alone(repository):
    command = (
        "import sys, speechbrain_e2v.inference.extractor; "
        "print({'speechbrain', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "set()"
