"""Headers against libsndfile, waveforms against naive arithmetic."""

import pickle
import struct

import numpy
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from speechbrain_e2v.corpora import audio_info as audio_info_module
from speechbrain_e2v.corpora.audio import AudioError, read_audio
from speechbrain_e2v.corpora.audio_header import AudioInfo, read_header
from speechbrain_e2v.corpora.audio_info import audio_info, audio_infos

SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]


def noise(samples, channels=1, seed=0):
    draws = numpy.random.default_rng(seed).uniform(
        -0.9, 0.9, (samples, channels)
    )
    return draws.astype(numpy.float32)


def wave_bytes(chunks, size=None):
    body = b"".join(
        name + struct.pack("<I", length) + data for name, length, data in chunks
    )
    size = len(body) + 4 if size is None else size
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + body


def fmt(channels=1, rate=16000, bits=16, tag=1):
    block = channels * bits // 8
    data = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * block, block, bits
    )
    return b"fmt ", len(data), data


def data(samples=1000, announced=None):
    raw = (noise(samples)[:, 0] * 32767).astype("<i2").tobytes()
    return b"data", len(raw) if announced is None else announced, raw


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
def test_header_equals_libsndfile(tmp_path, subtype, channels, form):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(801, channels), 22050, subtype, format=form)
    theirs = soundfile.info(path)
    own = read_header(path).info
    assert own == AudioInfo(801, 22050, channels, subtype)
    assert (own.num_samples, own.subtype) == (theirs.frames, theirs.subtype)
    assert audio_info(path) == own


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.flac", "PCM_16"), ("a.aiff", "PCM_24"), ("a.ogg", "VORBIS")],
)
def test_other_formats_go_through_libsndfile(tmp_path, name, subtype):
    soundfile.write(tmp_path / name, noise(4000), 8000, subtype)
    assert read_header(tmp_path / name) is None
    assert audio_info(tmp_path / name) == AudioInfo(4000, 8000, 1, subtype)


def test_chunks_before_the_samples_may_be_odd_and_long(tmp_path):
    path = tmp_path / "a.wav"
    odd = (b"LIST", 5, b"INFOx\0")  # padded to an even length
    long = (b"junk", 5000, bytes(5000))
    tail = (b"LIST", 4, b"INFO")
    path.write_bytes(wave_bytes([odd, fmt(), long, odd, data(), tail]))
    assert read_header(path).info == AudioInfo(1000, 16000, 1, "PCM_16")
    assert soundfile.info(path).frames == 1000


@pytest.mark.parametrize("announced", [0xFFFFFFFF, 0x7FFFF024, 0])
def test_a_size_left_open_by_a_pipe_comes_from_the_file(tmp_path, announced):
    path = tmp_path / "a.wav"
    path.write_bytes(wave_bytes([fmt(), data(1000, announced)], announced))
    assert read_header(path).info == AudioInfo(1000, 16000, 1, "PCM_16")


def test_a_size_that_counts_the_header_is_forgiven(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wave_bytes([fmt(), data(1000, 2000 + 44)]))
    assert audio_info(path).num_samples == 1000


def test_a_truncated_file_is_an_error_with_both_sizes(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wave_bytes([fmt(), data(1000)])[:1044])
    with pytest.raises(
        AudioError, match="announces 2000.*holds 1000"
    ) as caught:
        audio_info(path)
    assert caught.value.reason == "truncated"
    assert str(path) in str(caught.value)


def test_a_wave_without_samples_has_length_zero(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(0), 16000)
    assert audio_info(path).num_samples == 0
    with pytest.raises(AudioError, match="empty.*0 s long"):
        read_audio(path)


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.wav").write_text("this is not audio")
    (tmp_path / "nothing.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "good.wav", noise(10), 16000)
    names = ["text", "good", "nothing", "folder", "absent"]
    outcomes = audio_infos([tmp_path / f"{n}.wav" for n in names], False)
    reasons = [getattr(outcome, "reason", None) for outcome in outcomes]
    assert reasons == [
        "unreadable",
        None,
        "unreadable",
        "unreadable",
        "missing",
    ]
    assert "0 bytes" in str(outcomes[2])
    for name, reason in zip(names, reasons, strict=True):
        if reason:
            with pytest.raises(AudioError, match=f"{name}.wav: {reason}"):
                read_audio(tmp_path / f"{name}.wav")
    copy = pickle.loads(pickle.dumps(outcomes[0]))
    assert str(copy) == str(outcomes[0])


@pytest.mark.parametrize("waiting", [-1.0, 60.0])  # threads, and none
def test_audio_infos_keep_the_order(tmp_path, waiting, monkeypatch):
    monkeypatch.setattr(audio_info_module, "_WAITING", waiting)
    lengths = [(7 * i) % 601 for i in range(600)]
    for i, length in enumerate(lengths):
        (tmp_path / f"{i}.wav").write_bytes(wave_bytes([fmt(), data(length)]))
    paths = [tmp_path / f"{i}.wav" for i in range(600)]
    assert [o.num_samples for o in audio_infos(paths, False)] == lengths


def test_channels_are_averaged(tmp_path):
    wave = noise(2000, 3)
    soundfile.write(tmp_path / "a.wav", wave, 16000, "FLOAT")
    expected = torch.tensor(wave[:, 0] + wave[:, 1] + wave[:, 2]) / 3
    assert torch.allclose(read_audio(tmp_path / "a.wav"), expected, atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_equals_torchaudio_and_keeps_a_sine(tmp_path, rate):
    time = numpy.arange(rate + 7) / rate
    soundfile.write(
        tmp_path / "a.wav", numpy.sin(2 * numpy.pi * 440 * time), rate, "FLOAT"
    )
    wav = read_audio(tmp_path / "a.wav")
    assert wav.dtype == torch.float32
    assert len(wav) == -(-(rate + 7) * 16000 // rate)
    stored, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    theirs = resample(torch.from_numpy(stored), rate, 16000)
    assert torch.allclose(wav, theirs, atol=1e-4)
    truth = torch.sin(2 * torch.pi * 440 * torch.arange(len(wav)) / 16000)
    middle = slice(1000, 15000)
    assert torch.allclose(wav[middle], truth[middle], atol=5e-3)


def test_a_piece_equals_the_slice_of_the_whole(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(16000), 16000)
    whole = read_audio(tmp_path / "a.wav")
    piece = read_audio(tmp_path / "a.wav", 0.25, 0.5)
    assert torch.equal(piece, whole[4000:8000])
    assert torch.equal(read_audio(tmp_path / "a.wav", stop=9.0), whole)
    with pytest.raises(AudioError, match="1 s long, asked for 1.5 to None s"):
        read_audio(tmp_path / "a.wav", 1.5)
    with pytest.raises(ValueError, match="start is -0.1"):
        read_audio(tmp_path / "a.wav", -0.1)


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf, -numpy.inf])
def test_a_value_that_is_not_finite_is_named(tmp_path, value):
    wave = noise(1000)
    wave[123] = value
    soundfile.write(tmp_path / "a.wav", wave, 16000, "FLOAT")
    with pytest.raises(
        AudioError, match="non_finite .sample 123 is -?(nan|inf)"
    ):
        read_audio(tmp_path / "a.wav")
