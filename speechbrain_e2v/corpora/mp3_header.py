"""How long an MP3 says it is, and how long it is.

Encoders write the number of bytes and frames into the first frame ("Xing" or
"Info"). Where they do not, libsndfile estimates the length from the first
frame's bit rate and gives no sample behind it, so the frames are counted here.
Written from ISO/IEC 11172-3, 13818-3 and the public description of Xing's tag.
"""

import os

_RATES = (44_100, 48_000, 32_000)
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAYER_3, _VERSION_1, _RESERVED = 1, 3, 1
_HAS_FRAMES, _HAS_BYTES = 1, 2
_SEARCHED = 4096  # bytes, for the first frame


class Mp3Frames:
    """The frames of an MP3 file in memory.

    ``announced_bytes`` is None without a tag; ``samples`` counts all frames,
    the encoder's delay and padding among them.
    """

    def __init__(self, path: str | os.PathLike):
        with open(path, "rb") as file:
            self._data = file.read()
        self.start = self._first()
        self.announced_bytes: int | None = None
        self.is_tagged = False
        header = _frame(self._data, self.start)
        if header is not None:
            self._read_tag(self._data[self.start : self.start + header[0]])

    @property
    def present_bytes(self) -> int:
        """From the first frame to the end of the file."""
        return len(self._data) - self.start

    @property
    def samples(self) -> int:
        """Per channel, in all frames that follow each other."""
        position, found = self.start, 0
        while (header := _frame(self._data, position)) is not None:
            position, found = position + header[0], found + header[1]
        return found

    def _first(self) -> int:
        data, start = self._data, 0
        if data[:3] == b"ID3" and len(data) >= 10:  # seven bits a byte
            start = 10 + sum(
                (data[6 + i] & 0x7F) << 7 * (3 - i) for i in range(4)
            )
        for position in range(start, min(start + _SEARCHED, len(data))):
            header = _frame(data, position)
            if header and _frame(data, position + header[0]):
                return position
        return len(data)

    def _read_tag(self, frame: bytes) -> None:
        where = max(frame.find(b"Xing", 4, 64), frame.find(b"Info", 4, 64))
        self.is_tagged = where >= 0 or b"VBRI" in frame[4:64]
        if where < 0:
            return
        flags = int.from_bytes(frame[where + 4 : where + 8], "big")
        if flags & _HAS_BYTES:
            field = where + (12 if flags & _HAS_FRAMES else 8)
            self.announced_bytes = int.from_bytes(
                frame[field : field + 4], "big"
            )


def _frame(data: bytes, position: int) -> tuple[int, int] | None:
    """Bytes and samples of the Layer III frame at a position."""
    head = data[position : position + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == _RESERVED or layer != _LAYER_3:
        return None
    if bitrate in (0, 15) or rate == 3:
        return None
    first = version == _VERSION_1
    # 2 is version 2 at half the rate, 0 is "2.5" at a quarter of it.
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    kbits = (_KBITS_1 if first else _KBITS_2)[bitrate]
    length = (144 if first else 72) * 1000 * kbits // hertz + padding
    return length, 1152 if first else 576
