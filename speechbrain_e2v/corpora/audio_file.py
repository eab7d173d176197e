"""Opening audio files: what is wrong with one, said by name."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from speechbrain_e2v.corpora.audio_header import (
    NoRegularFile,
    PlainWave,
    TruncatedAudio,
    read_header,
)
from speechbrain_e2v.corpora.ffmpeg import FFMPEG_SUFFIXES, FfmpegAudio
from speechbrain_e2v.corpora.mp3_header import Mp3Frames
from speechbrain_e2v.corpora.walk import path_text

_WAYS_OUT = {
    "missing": "check the path, or prepare the manifest again",
    "unreadable": "copy the file again, or convert it to wav with ffmpeg",
    "truncated": "copy the file again, or rewrite it with ffmpeg -i IN OUT.wav",
    "bad_name": "rename the file; its name must be UTF-8",
    "empty": "leave it out of the manifest or restore it",
    "non_finite": "repair or leave out the file",
    "bad_rate": "leave out the file, or write it anew at its true rate",
    "no_channel": "choose another channel, or none for the mean of all",
}
# Outside of these a header is damaged: speech ends where 1000 Hz would, and
# no converter runs faster. One wrong bit must not cost gigabytes.
LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000  # Hz
# The length of an untagged MP3 is an estimate.
MP3_FRAME = 1152


class AudioError(ValueError):
    """An audio file that cannot be used: file, reason, value, way out.

    >>> print(AudioError("a.wav", "empty", "0 samples"))
    a.wav: empty (0 samples); leave it out of the manifest or restore it
    """

    def __init__(self, path: str | os.PathLike, reason: str, detail: str):
        super().__init__(path, reason, detail)
        self.path, self.reason, self.detail = str(path), reason, detail

    def __str__(self) -> str:
        return (
            f"{path_text(self.path)}: {self.reason} ({self.detail}); "
            f"{_WAYS_OUT[self.reason]}"
        )


class AudioFile(Protocol):
    """An opened file: rate in Hz, frames announced (None: not known)."""

    samplerate: int
    channels: int
    frames: int | None
    subtype: str
    is_estimate: bool  # whether a few frames may be missing

    def skip(self, frames: int) -> None:
        """Leave out the next frames."""

    def read(self, frames: int) -> np.ndarray:
        """The next [S, C] float32; nothing at the end."""


class _SoundFile:
    """What libsndfile reads, forwards only.

    After every block soundfile seeks to where it is, which is a wrong place
    in an MP3 of variable bit rate, and fails at the end of a FLAC of unknown
    length.
    """

    class _Forwards(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    def __init__(self, path: str):
        # soundfile cannot encode a name that is not UTF-8.
        self._file = self._Forwards(os.fsencode(path))
        self.samplerate, self.channels = (
            self._file.samplerate,
            self._file.channels,
        )
        self.subtype: str = self._file.subtype
        known = self._file.frames < 2**62
        self.frames: int | None = self._file.frames if known else None
        self.is_estimate = False
        if self._file.format == "MP3":
            self._check_mp3(path)
        self._may_seek = soundfile.SoundFile.seekable(self._file) and known
        # These remember what came before; from elsewhere they sound otherwise.
        self._may_seek &= self._file.subtype not in ("MPEG_LAYER_III", "OPUS")

    def _check_mp3(self, path: str) -> None:
        mp3 = Mp3Frames(path)
        announced, present = mp3.announced_bytes or 0, mp3.present_bytes
        if announced > present:
            raise TruncatedAudio(
                f"the header announces {announced} bytes, the file holds "
                f"{present}"
            )
        self.is_estimate = not mp3.is_tagged
        if self.is_estimate:
            there, reached = mp3.samples, self.frames or 0
            if reached < there - 2 * MP3_FRAME:
                raise OSError(
                    f"its length is not in its header, {reached} of {there} "
                    "samples are reached"
                )

    def skip(self, frames: int) -> None:
        if self._may_seek:
            self._file.seek(frames)
            return
        while frames > 0 and (passed := len(self.read(min(frames, 2**16)))):
            frames -= passed

    def read(self, frames: int) -> np.ndarray:
        return self._file.read(frames, dtype="float32", always_2d=True)

    def close(self) -> None:
        self._file.close()


class _PlainWaveFile:
    """Samples of a WAVE file whose header does not say how many they are."""

    is_estimate = False

    def __init__(self, path: str, wave: PlainWave):
        self.samplerate, self.channels = (
            wave.info.sample_rate,
            wave.info.channels,
        )
        self.frames: int | None = wave.info.num_samples
        self.subtype, self._frame_bytes = wave.info.subtype, wave.frame_bytes
        self._file = open(path, "rb")
        self._file.seek(wave.offset)

    def skip(self, frames: int) -> None:
        self._file.seek(frames * self._frame_bytes, os.SEEK_CUR)

    def read(self, frames: int) -> np.ndarray:
        data = self._file.read(frames * self._frame_bytes)
        return soundfile.read(
            io.BytesIO(data),
            dtype="float32",
            always_2d=True,
            samplerate=self.samplerate,
            channels=self.channels,
            subtype=self.subtype,
            format="RAW",
            endian="LITTLE",
        )[0]

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def open_audio(path: str | os.PathLike) -> Iterator[AudioFile]:
    """Open a file that libsndfile or ffmpeg reads.

    Raises AudioError when it is missing, unreadable, truncated, no regular
    file, or has an impossible rate; also for what happens inside the block.
    """
    try:
        with contextlib.closing(_opened(str(path))) as file:
            check_rate(path, file.samplerate)
            yield file
    except AudioError:
        raise
    except TruncatedAudio as error:
        raise AudioError(path, "truncated", str(error)) from error
    except (OSError, soundfile.LibsndfileError) as error:
        raise _unreadable(path, error) from error


def _opened(path: str) -> "_SoundFile | _PlainWaveFile | FfmpegAudio":
    wave = read_header(path)
    if Path(path).suffix.lower() in FFMPEG_SUFFIXES:
        return FfmpegAudio(path)
    file = _SoundFile(path)
    if wave is not None and (file.frames or 0) < wave.info.num_samples:
        file.close()
        return _PlainWaveFile(path, wave)
    return file


def check_rate(path: str | os.PathLike, rate: int) -> None:
    """Raise AudioError for a rate (Hz) that no recording has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            path,
            "bad_rate",
            f"{rate} Hz, where {LOWEST_RATE} to {HIGHEST_RATE} are read",
        )


def _unreadable(path: str | os.PathLike, error: Exception) -> AudioError:
    if not os.path.lexists(path):
        return AudioError(path, "missing", "no such file")
    if isinstance(error, NoRegularFile):
        return AudioError(path, "unreadable", "no regular file")
    if not os.path.exists(path):
        return AudioError(path, "missing", "a link that leads nowhere")
    if os.stat(path).st_size == 0:
        return AudioError(path, "unreadable", "0 bytes")
    cause = getattr(error, "error_string", None) or str(error)
    return AudioError(path, "unreadable", cause)
