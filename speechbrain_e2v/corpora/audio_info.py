"""What only the audio files know, from their headers: lengths, rates."""

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import PurePosixPath

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import mono_blocks
from speechbrain_e2v.corpora.audio_file import (
    AudioError,
    check_rate,
    open_audio,
)
from speechbrain_e2v.corpora.audio_header import (
    AudioInfo,
    TruncatedAudio,
    read_header,
)
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.corpora.walk import path_text

_THREADS = 8
_FILES_PER_TASK = 256
# No codec packs silence closer: FLAC has 65,535 samples a block of 10 bytes.
_SAMPLES_PER_BYTE = 8192
_WAITING = 1e-3  # seconds a file: a disk, no longer the memory


def audio_info(path: str | os.PathLike) -> AudioInfo:
    """Length, rate and channels of an audio file, from its header.

    ``num_samples`` is 0 for a valid file without samples. Raises AudioError
    when the file is missing, unreadable, shorter than it says, or has an
    impossible rate. A file of unknown length is decoded.

    >>> path = getfixture("tmp_path") / "a.flac"
    >>> import soundfile
    >>> soundfile.write(path, [0.0] * 800, 8000)
    >>> audio_info(path).duration
    0.1
    """
    try:
        wave = read_header(path)
    except TruncatedAudio as error:
        raise AudioError(path, "truncated", str(error)) from error
    except OSError:
        wave = None  # opening it says what is wrong
    if wave is not None:
        check_rate(path, wave.info.sample_rate)
        return wave.info
    with open_audio(path) as file:
        samples = file.frames
        if samples is None:  # not in the header: decoding tells
            samples = sum(len(block) for block in mono_blocks(file, path))
        elif samples > _SAMPLES_PER_BYTE * os.path.getsize(path):
            raise AudioError(
                path,
                "truncated",
                f"the header announces {samples} samples, the file has "
                f"{os.path.getsize(path)} bytes",
            )
        subtype = file.subtype
        return AudioInfo(samples, file.samplerate, file.channels, subtype)


def _info_or_error(path: str | os.PathLike) -> AudioInfo | AudioError:
    try:
        return audio_info(path)
    except AudioError as error:
        return error


def audio_infos(
    paths: Iterable[str | os.PathLike], progress: bool = True
) -> list[AudioInfo | AudioError]:
    """Read many headers, in order; errors are returned, not raised.

    >>> [outcome.reason for outcome in audio_infos(["no.wav"], progress=False)]
    ['missing']
    """
    paths = list(paths)
    groups = [
        paths[i : i + _FILES_PER_TASK]
        for i in range(0, len(paths), _FILES_PER_TASK)
    ]
    outcomes: list[AudioInfo | AudioError] = []
    with (
        ThreadPoolExecutor(_THREADS) as pool,
        progress_bar(
            total=len(paths),
            desc="audio headers",
            unit="file",
            disable=not progress,
        ) as bar,
    ):

        def keep(found: list[AudioInfo | AudioError]) -> None:
            outcomes.extend(found)
            bar.update(len(found))

        # Threads hide the waiting for a cold disk; where nothing waits, they
        # only wait for each other.
        left = iter(groups)
        for group in left:
            begin = time.perf_counter()
            keep([_info_or_error(path) for path in group])
            if time.perf_counter() - begin > _WAITING * len(group):
                break
        for found in pool.map(lambda g: [_info_or_error(p) for p in g], left):
            keep(found)
    return outcomes


def measure_utterances(
    utterances: Sequence[Utterance],
    data_root: str | os.PathLike,
    progress: bool = True,
) -> list[Utterance | AudioError]:
    """Fill in the lengths of utterances; every file is opened once.

    >>> measure_utterances([Utterance("a", "a.wav")], "/none", False)[0].reason
    'missing'
    """
    paths = {u.wav: str(PurePosixPath(data_root, u.wav)) for u in utterances}
    infos = dict(zip(paths, audio_infos(paths.values(), progress), strict=True))
    for wav, path in paths.items():
        if path_text(path) != path:
            detail = "no manifest can hold a name that is not UTF-8"
            infos[wav] = AudioError(path, "bad_name", detail)
    return [measured(u, paths[u.wav], infos[u.wav]) for u in utterances]


def measured(
    utterance: Utterance, path: str, info: AudioInfo | AudioError
) -> Utterance | AudioError:
    """An utterance with the length of its file, or of its piece, filled in.

    A piece is cut at the end of its file. The error of ``info`` is returned,
    and ``"empty"`` when nothing is in the piece.

    >>> piece = Utterance("a", "a.wav", start=0.5, stop=9.0)
    >>> measured(piece, "a.wav", AudioInfo(800, 1000, 1, "FLOAT")).duration
    0.3
    """
    if isinstance(info, AudioError):
        return info
    rate = info.sample_rate
    first = round((utterance.start or 0.0) * rate)
    last = info.num_samples
    if utterance.stop is not None:
        last = min(last, round(utterance.stop * rate))
    if first >= last:
        detail = f"{info.num_samples} samples at {rate} Hz"
        if (utterance.start, utterance.stop) != (None, None):
            detail += f", asked for {utterance.start} to {utterance.stop} s"
        return AudioError(path, "empty", detail)
    return replace(
        utterance,
        num_samples=last - first,
        sample_rate=rate,
        channels=info.channels,
        duration=(last - first) / rate,
    )
