"""Reading the header of a RIFF/WAVE file, without decoding anything.

Ten times faster than opening the file with libsndfile, which matters for the
170,000 files of the paper's pre-training corpora. Written from Microsoft's
description of the format ("Multimedia Programming Interface and Data
Specifications 1.0" and the later WAVE_FORMAT_EXTENSIBLE).
"""

import os
import struct
from dataclasses import dataclass

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
}
# Programs that write to a pipe cannot go back and fill in the size: ffmpeg
# leaves 0xFFFFFFFF or 0, sox 0x7FFFF000 and a little more.
_STREAMED = frozenset((0, 0xFFFFFFFF, *range(0x7FFFF000, 0x80000000)))
# Some programs count the header itself as data.
_HEADER_SLACK = 64
_FIRST_READ = 512


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says.

    Example
    -------
    >>> AudioInfo(8000, 16000, 1, "PCM_16").duration
    0.5
    """

    num_samples: int  # per channel, at the file's own rate
    sample_rate: int  # Hz
    channels: int
    subtype: str  # as libsndfile names it, such as "PCM_16"

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.num_samples / self.sample_rate


class TruncatedWave(ValueError):
    """A WAVE file that ends before the end its header announces."""


def read_wave_header(path: str | os.PathLike) -> AudioInfo | None:
    """Read the header of a RIFF/WAVE file.

    Raises OSError when the file cannot be opened.
    TruncatedWave
        When the file is shorter than its header says.

    Example
    -------
    >>> import numpy, soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, numpy.zeros((800, 2)), 16000, "PCM_24")
    >>> read_wave_header(path)
    AudioInfo(num_samples=800, sample_rate=16000, channels=2, subtype='PCM_24')
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(handle).st_size
        head = os.pread(handle, _FIRST_READ, 0)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return None
        position, layout = 12, None
        while position + 8 <= size:
            chunk = _at(handle, head, position, 8)
            name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
            if name == b"data":
                if layout is None:
                    return None
                return _info(layout, length, size - position - 8)
            if name == b"fmt ":
                body = _at(handle, head, position + 8, min(length, 40))
                layout = _layout(body)
                if layout is None:
                    return None
            position += 8 + length + length % 2  # chunks start at even bytes
    finally:
        os.close(handle)
    return None


def _at(handle: int, head: bytes, position: int, length: int) -> bytes:
    if position + length <= len(head):
        return head[position : position + length]
    return os.pread(handle, length, position)


def _layout(body: bytes) -> tuple[int, int, int, str] | None:
    if len(body) < 16:
        return None
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not (channels and rate):
        return None
    if block != channels * bits // 8:
        return None
    return channels, rate, block, subtype


def _info(
    layout: tuple[int, int, int, str], announced: int, present: int
) -> AudioInfo:
    channels, rate, block, subtype = layout
    if announced in _STREAMED and announced != present:
        announced = present
    if announced > present + _HEADER_SLACK:
        raise TruncatedWave(
            f"the header announces {announced} bytes of samples, the file "
            f"holds {present}"
        )
    frames = min(announced, present) // block
    return AudioInfo(frames, rate, channels, subtype)
