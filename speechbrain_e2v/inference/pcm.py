"""Samples from a pipe: raw PCM, or WAV whose header may not know its length."""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from speechbrain_e2v.corpora.audio_file import AudioError

# Name as in ffmpeg and arecord -> bytes a sample, type, what it is divided by.
_ENCODINGS: dict[str, tuple[int, str, float]] = {
    "u8": (1, "u1", 2**7),
    "s16le": (2, "<i2", 2**15),
    "s24le": (3, "<i4", 2**31),
    "s32le": (4, "<i4", 2**31),
    "f32le": (4, "<f4", 1.0),
    "f64le": (8, "<f8", 1.0),
}
ENCODINGS = tuple(_ENCODINGS)
_WAVE_ENCODINGS = {  # by format tag and bits
    (1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le",
    (3, 32): "f32le", (3, 64): "f64le",
}  # fmt: skip
_EXTENSIBLE = 0xFFFE
_UNKNOWN = 0x7FFF0000  # programs that write to a pipe put such sizes, or 0
_LARGEST_CHUNK = 2**20  # of those before the samples
_AT_ONCE = 2**16  # bytes


class PcmFormat(NamedTuple):
    """How samples lie in a stream."""

    sample_rate: int
    channels: int
    encoding: str


def _width(layout: PcmFormat) -> int:
    """Bytes of a frame, one sample of each channel."""
    return _ENCODINGS[layout.encoding][0] * layout.channels


class PcmReader:
    """A stream of samples, opened like a file.

    What begins with a WAV header is read as that; anything else as `raw`.
    `frames` is None where nobody knows how many there will be.

    >>> import io
    >>> reader = PcmReader(io.BytesIO(bytes(8)), PcmFormat(8000, 2, "s16le"))
    >>> reader.read(1000).shape, reader.read(1000).shape
    ((2, 2), (0, 2))
    """

    is_estimate = False

    def __init__(self, stream: BinaryIO, raw: PcmFormat) -> None:
        self._stream = stream
        self.frames: int | None = None
        self._held = self._up_to(12)
        if self._held[:4] in (b"RIFF", b"RF64") and self._held[8:] == b"WAVE":
            self._held = b""
            raw, size = self._header()
            if 0 < size < _UNKNOWN:
                self.frames = size // _width(raw)
        self.samplerate, self.channels, self.subtype = raw
        self._width = _width(raw)
        self._given = 0  # frames

    def read(self, frames: int) -> np.ndarray:
        """Give what is there, at least one frame [S, C] and at most `frames`.

        None are left when there are no rows.
        """
        if self.frames is not None:
            frames = min(frames, self.frames - self._given)
        while frames > 0 and len(self._held) < self._width:
            # Not `read`, which waits until it has all that is wanted.
            more = self._stream.read1(_AT_ONCE)  # type: ignore[attr-defined]
            if not more:
                break
            self._held += more
        whole = min(frames, len(self._held) // self._width) * self._width
        data, self._held = self._held[:whole], self._held[whole:]
        self._given += whole // self._width
        return self._decoded(data)

    def skip(self, frames: int) -> None:
        """Leave out the next frames."""
        while frames > 0 and (passed := len(self.read(frames))):
            frames -= passed

    def _decoded(self, data: bytes) -> np.ndarray:
        size, kind, scale = _ENCODINGS[self.subtype]
        if size == 3:  # the upper bytes of four
            wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            values = wide.reshape(-1).view(kind).astype(np.float64)
        else:
            values = np.frombuffer(data, kind).astype(np.float64)
        if kind == "u1":
            values -= 128
        frames = (values / scale).astype(np.float32)
        return frames.reshape(-1, self.channels)

    def _header(self) -> tuple[PcmFormat, int]:
        """Read chunks up to the samples; their size is what it says."""
        found = None
        while True:
            name, size = struct.unpack("<4sI", self._exactly(8))
            if name == b"data":
                break
            if size > _LARGEST_CHUNK:
                raise self._unreadable(f"its chunk {name!r} has {size} bytes")
            chunk = self._exactly(size + size % 2)
            if name == b"fmt ":
                found = self._format(chunk)
        if found is None:
            raise self._unreadable("its header names no format")
        return found, size

    def _format(self, chunk: bytes) -> PcmFormat:
        if len(chunk) < 16:
            raise self._unreadable(f"its format chunk has {len(chunk)} bytes")
        tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
        if tag == _EXTENSIBLE and len(chunk) >= 26:
            (tag,) = struct.unpack("<H", chunk[24:26])
        encoding = _WAVE_ENCODINGS.get((tag, bits))
        if encoding is None or not channels:
            raise self._unreadable(
                f"format {tag}, {bits} bits, {channels} channels: write PCM"
            )
        return PcmFormat(rate, channels, encoding)

    def _exactly(self, count: int) -> bytes:
        data = self._up_to(count)
        if len(data) < count:
            raise AudioError("-", "truncated", "it ends in its header")
        return data

    def _up_to(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._stream.read(count - len(data))
            if not more:
                break
            data += more
        return data

    @staticmethod
    def _unreadable(detail: str) -> AudioError:
        return AudioError("-", "unreadable", detail)
