"""Filling in what only the audio files know: lengths, rates, channels."""

from dataclasses import replace
from pathlib import PurePosixPath

from speechbrain_e2v.corpora.audio import AudioError, probe_many


def probe_utterances(utterances, data_root, progress=True):
    """Probe the audio of utterances, every file once.

    Arguments
    ---------
    utterances : sequence of Utterance
        Audio paths relative to ``data_root`` (or absolute).
    data_root : str or Path
        The corpus folder.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Utterance or AudioError
        One per utterance, in order: with lengths filled in, or what is wrong.
        A piece with ``start`` and ``stop`` is cut at the end of its file.

    Example
    -------
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> probe_utterances([Utterance("a", "a.wav")], "/none", False)[0].reason
    'missing'
    """
    paths = {u.wav: str(PurePosixPath(data_root, u.wav)) for u in utterances}
    outcomes = dict(
        zip(paths, probe_many(paths.values(), progress), strict=True)
    )
    return [with_header(u, paths[u.wav], outcomes[u.wav]) for u in utterances]


def with_header(utterance, path, info):
    """An utterance with the lengths of its file's header filled in.

    Arguments
    ---------
    utterance : Utterance
        The whole file, or the piece from ``start`` to ``stop``.
    path : str
        The file, for messages.
    info : AudioInfo or AudioError
        What probing the file gave.

    Returns
    -------
    Utterance or AudioError
        The error of the probe, or ``"empty"`` when nothing is in the piece.

    Example
    -------
    >>> from speechbrain_e2v.corpora.audio import AudioInfo
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> piece = Utterance("a", "a.wav", start=0.5, stop=9.0)
    >>> with_header(piece, "a.wav", AudioInfo(800, 1000, 1, "FLOAT")).duration
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
