"""Sound of containers that libsndfile does not read, through ffmpeg."""

import shutil
import struct
import subprocess
import threading

import numpy as np

# Without ffmpeg these are still audio: counted, and refused by name.
FFMPEG_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .amr .m4a .m4b .mka .mkv .mov .mp4 .webm .wma".split()
)


def require(*programs: str) -> None:
    """Raise ValueError naming the programs that are not installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} not found on PATH; install ffmpeg "
            "(apt-get install ffmpeg, conda install ffmpeg, brew install "
            "ffmpeg)"
        )


class FfmpegAudio:
    """The first audio stream of a file, decoded as it is read.

    Raises OSError with ffmpeg's last line when it cannot be decoded to its
    end, and when there is no ffmpeg.
    """

    frames: int | None = None  # containers do not say it to the sample
    subtype = "FFMPEG"
    is_estimate = False

    def __init__(self, path: str):
        if shutil.which("ffmpeg") is None:
            raise OSError("ffmpeg, which reads such files, is not installed")
        # file: keeps a name such as "concat:a" from being an instruction.
        options = "-map 0:a:0 -f au -c:a pcm_f32be -".split()
        self._process = subprocess.Popen(
            ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}"]
            + options,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._errors: list[bytes] = []
        # Read beside: a full pipe of complaints would stop the sound.
        self._reader = threading.Thread(target=self._complaints, daemon=True)
        self._reader.start()
        header = self._exactly(24)
        if len(header) < 24:
            self._finish()
            raise OSError("ffmpeg found no sound in it")
        start, self.samplerate, self.channels = struct.unpack(
            ">4xI8xII", header
        )
        self._exactly(start - 24)

    def _complaints(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = [*self._errors[-4:], line]

    def _exactly(self, count: int) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.read(count)

    def skip(self, frames: int) -> None:
        """Decode and forget."""
        while frames > 0 and (passed := len(self.read(min(frames, 2**16)))):
            frames -= passed

    def read(self, frames: int) -> np.ndarray:
        """The next [S, C] float32; nothing at the end."""
        width = 4 * self.channels
        data = self._exactly(frames * width)
        if len(data) < frames * width:
            self._finish()
        samples = np.frombuffer(data[: len(data) // width * width], ">f4")
        return samples.astype(np.float32).reshape(-1, self.channels)

    def _finish(self) -> None:
        status = self._process.wait()
        self._reader.join()
        if status or self._errors:
            lines = (
                b"".join(self._errors).decode("utf-8", "replace").split("\n")
            )
            said = [line.strip() for line in lines if line.strip()]
            raise OSError(said[-1] if said else f"ffmpeg ended with {status}")

    def close(self) -> None:
        """End ffmpeg, whether or not everything was read."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
