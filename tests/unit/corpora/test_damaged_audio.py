"""Headers that do not agree with their files, and files that never end."""

import os
import shutil
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile

from speechbrain_e2v.corpora.audio import AudioError, decode, read_audio
from speechbrain_e2v.corpora.audio_info import audio_info, audio_infos

FORMATS = [
    ("WAV", "PCM_16"), ("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "GSM610"),
    ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAVEX", "FLOAT"),
    ("RF64", "PCM_24"), ("W64", "PCM_16"), ("W64", "ULAW"),
    ("AIFF", "PCM_16"), ("AIFF", "ULAW"), ("AU", "PCM_16"), ("AU", "ULAW"),
    ("NIST", "PCM_16"), ("SVX", "PCM_16"), ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip
NEEDS_FFMPEG = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed"
)


def tone(seconds=3.0, rate=16000):
    time = np.arange(round(seconds * rate)) / rate
    rough = np.random.default_rng(0).normal(0, 0.02, len(time))
    return (0.3 * np.sin(2 * np.pi * 220 * time) + rough).astype("float32")


def written(folder, container, subtype):
    path = folder / f"a.{container.lower()}"
    soundfile.write(path, tone(), 16000, subtype, format=container)
    return path


def ffmpeg(*arguments):
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)],
        check=True,
    )


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_every_sample_is_decoded_whole_and_in_pieces(
    tmp_path, container, subtype
):
    path = written(tmp_path, container, subtype)
    info = audio_info(path)
    whole, rate = decode(path)
    assert (len(whole), rate) == (info.num_samples, info.sample_rate)
    theirs, _ = soundfile.read(path, dtype="float32")
    assert np.abs(whole.numpy() - theirs).max() < 1e-6
    for start, stop in ((0.0, 0.5), (0.3, 0.9), (2.5, None)):
        piece, _ = decode(path, start, stop)
        first = round(start * 16000)
        last = len(whole) if stop is None else round(stop * 16000)
        difference = (piece - whole[first:last]).abs().max()
        assert difference < 1e-6, (start, stop)


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.47, 0.9])
def test_what_was_cut_short_is_named(tmp_path, container, subtype, share):
    path = written(tmp_path, container, subtype)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    reason = "unreadable" if container == "CAF" else "truncated"
    assert caught.value.reason == reason  # libsndfile refuses to open a CAF
    assert str(path) in str(caught.value)
    if container not in ("FLAC", "CAF"):  # a FLAC is only known by decoding
        with pytest.raises(AudioError, match="truncated"):
            audio_info(path)


@pytest.mark.parametrize("announced", [0, 0xFFFFFFFF, 0x7FFFF024])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_samples_behind_an_open_size_are_decoded(tmp_path, announced, subtype):
    path = tmp_path / "a.wav"
    stereo = np.stack([tone(), 0.5 * tone()], axis=1)
    soundfile.write(path, stereo, 16000, subtype)
    expected, _ = decode(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", announced)
    path.write_bytes(content)
    assert audio_info(path).num_samples == 48000
    assert np.array_equal(decode(path)[0], expected)
    assert np.array_equal(decode(path, 1.0, 2.0)[0], expected[16000:32000])


@NEEDS_FFMPEG
def test_an_mp3_of_variable_rate_is_decoded_as_ffmpeg_does(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    path = tmp_path / "a.mp3"
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "libmp3lame", "-q:a", "4", path)
    ffmpeg("-i", path, "-c:a", "pcm_f32le", tmp_path / "b.wav")
    theirs, _ = soundfile.read(tmp_path / "b.wav", dtype="float32")
    assert np.abs(decode(path)[0].numpy() - theirs).max() < 1e-5
    piece, _ = decode(path, 1.5, 2.0)
    assert np.abs(piece.numpy() - theirs[24000:32000]).max() < 1e-5


@NEEDS_FFMPEG
@pytest.mark.parametrize("quality", [("-b:a", "64k"), ("-q:a", "4")])
def test_an_mp3_that_does_not_say_how_long_it_is(tmp_path, quality):
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    path = tmp_path / "a.mp3"
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "libmp3lame", *quality,
           "-write_xing", "0", path)  # fmt: skip
    try:
        samples = len(decode(path)[0])
    except AudioError as error:  # never a silent eighth of it
        assert "its length is not in its header" in str(error)
    else:
        assert 48000 <= samples <= 48000 + 3 * 1152


@NEEDS_FFMPEG
def test_a_flac_from_a_pipe_is_as_long_as_it_is(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    with open(tmp_path / "a.flac", "wb") as file:
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", "-f", "flac",
             "-"], stdout=file, check=True,
        )  # fmt: skip
    assert audio_info(tmp_path / "a.flac").num_samples == 48000
    assert np.array_equal(
        decode(tmp_path / "a.flac")[0], decode(tmp_path / "a.wav")[0]
    )


@NEEDS_FFMPEG
@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"),
                        ("a.mp4", "aac"), ("a.mkv", "flac")],
)  # fmt: skip
def test_containers_are_read_through_ffmpeg(tmp_path, name, codec):
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    path = tmp_path / name
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", codec, path)
    info = audio_info(path)
    wav = read_audio(path)
    assert abs(info.duration - 3.0) < 0.1
    assert len(wav) == -(-info.num_samples * 16000 // info.sample_rate)
    spectrum = np.abs(np.fft.rfft(wav[8000:40000].numpy()))
    assert abs(int(spectrum.argmax()) / 2 - 220) <= 1
    piece = read_audio(path, 1.0, 1.5)
    assert len(piece) == 8000
    path.write_bytes(path.read_bytes()[: os.path.getsize(path) // 2])
    with pytest.raises(AudioError, match=f"{name}: (unreadable|truncated)"):
        read_audio(path)


def test_containers_without_ffmpeg_are_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"a\.m4a: unreadable \(ffmpeg"):
        audio_info(tmp_path / "a.m4a")


def flac_announcing(path, samples):
    """A FLAC of 3 s with another number of samples in its header (RFC 9639)."""
    soundfile.write(path, tone(), 16000)
    content = bytearray(path.read_bytes())
    # 36 bits behind 4 bytes of magic, 4 of the block, 13 of sizes and rate.
    content[21] = content[21] & 0xF0 | samples >> 32
    content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("samples", [10**6, 10**9, 2**36 - 1])
def test_announced_samples_are_never_allocated(tmp_path, samples):
    path = tmp_path / "a.flac"
    flac_announcing(path, samples)
    tracemalloc.start()
    with pytest.raises(AudioError, match="truncated"):
        decode(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6
    if samples > 1e9:
        with pytest.raises(AudioError, match=f"announces {samples} samples"):
            audio_info(path)


@pytest.mark.parametrize("rate", [1, 2, 999, 384_001, 2**31 - 1])
@pytest.mark.parametrize("name", ["a.wav", "a.au"])
def test_a_rate_that_no_recording_has_is_refused(tmp_path, rate, name):
    path = tmp_path / name
    soundfile.write(path, tone(0.1), 16000)
    content = bytearray(path.read_bytes())
    if name == "a.au":
        content[16:20] = rate.to_bytes(4, "big")
    else:
        content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    for read in (audio_info, read_audio):
        with pytest.raises(AudioError, match=f"bad_rate .{rate} Hz"):
            read(path)


def test_a_name_that_no_file_can_have_is_missing():
    for read in (audio_info, read_audio):
        with pytest.raises(AudioError, match="missing"):
            read("a\0.wav")


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    soundfile.write(tmp_path / "good.wav", tone(0.5), 16000)
    content = bytearray((tmp_path / "good.wav").read_bytes())
    content[24:28] = (1).to_bytes(4, "little")
    (tmp_path / "rate.wav").write_bytes(content)
    flac_announcing(tmp_path / "long.flac", 2**36 - 1)
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("nowhere.wav")
    names = ["rate.wav", "long.flac", "pipe.wav", "link.wav", "good.wav"]
    found = audio_infos([tmp_path / name for name in names], progress=False)
    reasons = [getattr(outcome, "reason", None) for outcome in found]
    assert reasons == ["bad_rate", "truncated", "unreadable", "missing", None]


@pytest.mark.parametrize("name", ["pipe.wav", "pipe.flac", "pipe.m4a"])
def test_a_named_pipe_does_not_block(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (audio_info, read_audio):
        with pytest.raises(AudioError, match="no regular file"):
            read(tmp_path / name)


def cancelling(left, right, path):
    soundfile.write(path, np.stack([left, right], axis=1), 16000, "FLOAT")
    return path


def test_channels_that_cancel_are_said(tmp_path, caplog):
    wav = tone(1.0)
    path = cancelling(wav, -wav, tmp_path / "a.wav")
    assert read_audio(path).abs().max() == 0
    read_audio(path)
    (record,) = caplog.records  # once a file
    assert "a.wav: its channels cancel each other" in record.getMessage()
    assert "--channel 0" in record.getMessage()
    caplog.clear()
    assert np.array_equal(read_audio(path, channel=0), wav)
    assert np.array_equal(read_audio(path, channel=1), -wav)
    assert not caplog.records
    with pytest.raises(AudioError, match="no_channel .channel 2 of 2"):
        read_audio(path, channel=2)


def test_channels_that_nearly_cancel_are_said(tmp_path, caplog):
    wav = tone(1.0)
    late = np.concatenate([np.zeros(1, "f4"), wav[:-1]])
    read_audio(cancelling(wav, -0.9 * late, tmp_path / "late.wav"))
    assert "cancel" in caplog.text


def test_usual_stereo_is_not_complained_about(tmp_path, caplog):
    wav, other = tone(1.0), np.roll(tone(1.0)[::-1], 100)
    for number, right in enumerate((wav, 0 * wav, other)):
        read_audio(cancelling(wav, right, tmp_path / f"{number}.wav"))
    read_audio(cancelling(0 * wav, 0 * wav, tmp_path / "silence.wav"))
    assert not caplog.records
