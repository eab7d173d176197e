"""Samples from pipes, as soundfile writes and reads them."""

import io
import struct

import numpy as np
import pytest
import soundfile
from unit.inference.tiny import noise

from speechbrain_e2v.corpora.audio_file import AudioError
from speechbrain_e2v.inference.pcm import PcmFormat, PcmReader

RAW = PcmFormat(16000, 1, "s16le")
SUBTYPES = {
    "u8": "PCM_U8", "s16le": "PCM_16", "s24le": "PCM_24", "s32le": "PCM_32",
    "f32le": "FLOAT", "f64le": "DOUBLE",
}  # fmt: skip


class Pipe(io.BytesIO):
    """Gives a few bytes at a time, as a slow program does."""

    def read1(self, size=-1):
        return super().read1(min(size, 1001))


def everything(data, raw=RAW):
    reader = PcmReader(Pipe(data), raw)
    blocks = []
    while len(block := reader.read(4096)):
        blocks.append(block)
    return reader, np.concatenate(blocks) if blocks else np.zeros((0, 1))


def written(kind, wav, subtype, rate=22050):
    file = io.BytesIO()
    soundfile.write(file, wav, rate, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize(("encoding", "subtype"), SUBTYPES.items())
def test_wav_is_read_as_soundfile_reads_it(encoding, subtype, kind):
    wav = np.stack([noise(5000, 1), noise(5000, 2)], axis=1)
    data = written(kind, wav, subtype)
    reader, found = everything(data)
    expected, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert (reader.samplerate, reader.channels) == (rate, 2)
    assert (reader.subtype, reader.frames) == (encoding, 5000)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(("encoding", "subtype"), SUBTYPES.items())
def test_raw_samples(encoding, subtype):
    wav = noise(3001, 1)
    data = written("RAW", wav, subtype)
    reader, found = everything(data, PcmFormat(8000, 1, encoding))
    assert reader.samplerate == 8000 and found.shape == (3001, 1)
    expected, _ = soundfile.read(io.BytesIO(written("WAV", wav, subtype)))
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_header_need_not_know_its_length(size):
    data = written("WAV", noise(3000, 1), "PCM_16")
    place = data.index(b"data") + 4
    data = data[:place] + struct.pack("<I", size) + data[place + 4 :]
    reader, found = everything(data)
    assert reader.frames is None and len(found) == 3000


def test_what_follows_the_samples_is_no_sound():
    data = written("WAV", noise(3000, 1), "PCM_16") + b"LIST" + bytes(400)
    assert len(everything(data)[1]) == 3000


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "ends in its header"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00", "names no format"),
        (b"RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\xff\x7f", "has 2147483647"),
        (written("WAV", noise(300, 1), "ULAW"), "format 7, 8 bits"),
    ],
)
def test_damaged_headers_are_named(data, told):
    with pytest.raises(AudioError, match=told):
        PcmReader(io.BytesIO(data), RAW)


def test_samples_come_before_the_stream_ends():
    class Endless(io.BytesIO):
        asked = 0

        def read1(self, size=-1):
            self.asked += 1
            return bytes(640)

        def read(self, size=-1):
            return bytes(size)

    stream = Endless()
    reader = PcmReader(stream, RAW)
    assert len(reader.read(16000)) and len(reader.read(16000)) == 320
    assert stream.asked <= 2
