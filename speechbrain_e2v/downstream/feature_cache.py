"""Frozen features: computed once, read from the disk ever after.

The name of a store is a digest of everything its features depend on, so a
store is never stale: other weights, another layer, other preprocessing or
other audio have another folder. One that was not finished is gone on with.
"""

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.upstreams import Extractor, Lookup
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.files.lock import FolderInUse, sole_writer
from speechbrain_e2v.inference.feature_index import INDEX
from speechbrain_e2v.inference.feature_store import FeatureStore, StoreWriter
from speechbrain_e2v.lobes.batching import batches_by_length
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_FORMAT = 2


def audio_digest(utterances: Sequence[Utterance], progress: bool = True) -> str:
    """SHA-256 over id, interval and the file's bytes, in order of id."""
    digest = hashlib.sha256()
    ordered = sorted(utterances, key=lambda u: u.id)
    contents: dict[str, str] = {}  # several utterances may share a file
    for utterance in progress_bar(
        ordered, desc="audio digests", delay=1, disable=not progress
    ):
        path = utterance.wav
        if path not in contents:
            contents[path] = file_sha256(path)
        line = [utterance.id, utterance.start, utterance.stop, contents[path]]
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()


def cached_features(
    folder: str | Path,
    upstream: Extractor | Lookup,
    utterances: Sequence[Utterance],
    batch_seconds: float = 60.0,
    progress: bool = True,
) -> FeatureStore:
    """Features of utterances, from the disk where they are already there.

    `folder` may be shared by any number of experiments: what another one is
    computing is waited for.

    >>> import soundfile
    >>> from speechbrain_e2v.downstream.upstreams.mfcc import MfccStatistics
    >>> tmp = getfixture("tmp_path")
    >>> soundfile.write(tmp / "a.wav", [0.1, -0.1] * 4000, 16000)
    >>> rows = [Utterance("a", str(tmp / "a.wav"), duration=0.5)]
    >>> cached_features(tmp, MfccStatistics(), rows, progress=False).dim
    480
    """
    if not utterances:
        raise ValueError(f"{folder}: there are no utterances")
    audio = audio_digest(utterances, progress)
    text = f"{_FORMAT}|{upstream.digest}|{audio}"
    key = hashlib.sha256(text.encode()).hexdigest()
    store = Path(folder) / key[:32]
    waits = False
    # The index is written last: its presence says that a store is finished.
    while not (store / INDEX).is_file():
        try:
            with sole_writer(store):
                _fill(store, upstream, utterances, batch_seconds, progress)
        except FolderInUse as error:
            if not waits:
                print(f"features: {error}", file=sys.stderr)
            waits = True
            time.sleep(1)
    return FeatureStore(store)


def _fill(
    store: Path,
    upstream: Extractor | Lookup,
    utterances: Sequence[Utterance],
    batch_seconds: float,
    progress: bool,
) -> None:
    writer = StoreWriter(store)
    rows = sorted(utterances, key=lambda u: u.id)
    # Neighbours in length share a batch, and always the same: a run that was
    # killed goes on with the numbers of one that was not.
    batches = batches_by_length(
        [round(u.duration * SAMPLE_RATE) for u in rows], batch_seconds
    )
    with progress_bar(
        total=len(rows), desc="features", unit="utt", disable=not progress
    ) as bar:
        for batch in batches:
            if any(rows[i].id not in writer.written for i in batch):
                found = _features(upstream, [rows[i] for i in batch])
                for i, frames in zip(batch, found, strict=True):
                    if rows[i].id not in writer.written:
                        writer.write(rows[i].id, torch.atleast_2d(frames))
            bar.update(len(batch))
    writer.close()
    writer.finish()


def _features(
    upstream: Extractor | Lookup, rows: Sequence[Utterance]
) -> list[torch.Tensor]:
    if isinstance(upstream, Lookup):
        return upstream.look_up([row.id for row in rows])
    waveforms = [read_audio(row.wav, row.start, row.stop) for row in rows]
    return upstream.extract(waveforms)
