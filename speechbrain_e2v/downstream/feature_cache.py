"""Frozen features: computed once, read from the disk ever after.

The name of a store is a digest of everything its features depend on, so a
store is never stale: other weights, another layer, other preprocessing or
other audio have another folder.
"""

import hashlib
import json
from pathlib import Path

from tqdm import tqdm

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_FORMAT = 1


def audio_digest(utterances, progress=True):
    """Digest of the ids and the audio of utterances.

    Arguments
    ---------
    utterances : sequence of Utterance
        With absolute audio paths.
    progress : bool
        Show a progress bar when it takes longer than a second.

    Returns
    -------
    str
        SHA-256 over id, interval and the file's bytes, in order of id.
    """
    digest = hashlib.sha256()
    ordered = sorted(utterances, key=lambda u: u.id)
    contents = {}  # several utterances may be pieces of one file
    for utterance in tqdm(
        ordered, desc="audio digests", delay=1, disable=not progress
    ):
        path = utterance.wav
        if path not in contents:
            data = Path(path).read_bytes()
            contents[path] = hashlib.sha256(data).hexdigest()
        line = [utterance.id, utterance.start, utterance.stop, contents[path]]
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()


def cached_features(
    folder, upstream, utterances, batch_seconds=60.0, progress=True
):
    """Features of utterances, from the disk where they are already there.

    Arguments
    ---------
    folder : str or Path
        Cache folder; may be shared by any number of experiments.
    upstream : object
        ``digest``, ``extract(list of waveforms) -> list of [T, D]``; see
        :mod:`speechbrain_e2v.downstream.upstreams`.
    utterances : sequence of Utterance
        With absolute audio paths and probed lengths.
    batch_seconds : float
        Seconds of audio per call of ``extract``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    FeatureStore

    Example
    -------
    >>> import soundfile
    >>> from speechbrain_e2v.downstream.mfcc import MfccStatistics
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> tmp = getfixture("tmp_path")
    >>> soundfile.write(tmp / "a.wav", [0.1, -0.1] * 4000, 16000)
    >>> rows = [Utterance("a", str(tmp / "a.wav"), duration=0.5)]
    >>> cached_features(tmp, MfccStatistics(), rows, progress=False).dim
    240
    """
    audio = audio_digest(utterances, progress)
    text = f"{_FORMAT}|{upstream.digest}|{audio}"
    key = hashlib.sha256(text.encode()).hexdigest()
    store = Path(folder) / key[:32]
    if not store.exists():
        write_features(
            store, _extracted(upstream, utterances, batch_seconds, progress)
        )
    return FeatureStore(store)


def _extracted(upstream, utterances, batch_seconds, progress):
    # Neighbours in length share a batch: little padding, and the order by
    # length does not matter to whoever reads.
    ordered = sorted(utterances, key=lambda u: (-u.duration, u.id))
    budget = int(batch_seconds * SAMPLE_RATE)
    with tqdm(
        total=len(ordered), desc="features", unit="utt", disable=not progress
    ) as bar:
        waiting, waveforms = [], []
        for utterance in ordered:
            waveform = read_audio(
                utterance.wav, utterance.start, utterance.stop
            )
            longest = max(len(w) for w in [waveform, *waveforms])
            if waiting and longest * (len(waiting) + 1) > budget:
                yield from zip(
                    waiting, upstream.extract(waveforms), strict=True
                )
                bar.update(len(waiting))
                waiting, waveforms = [], []
            waiting.append(utterance.id)
            waveforms.append(waveform)
        if waiting:
            yield from zip(waiting, upstream.extract(waveforms), strict=True)
        bar.update(len(waiting))
