"""Frozen features: computed once, read from the disk ever after.

A store is a folder with ``frames.npy``, the float32 frames of all utterances
one after the other, and ``index.json``, which says where each lies. Its name
is a digest of everything the features depend on, so a store is never stale:
other weights, another layer or other audio have another folder.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_e2v.dataio.audio import read_audio
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

_FORMAT = 1


class FeatureStore:
    """Features of many utterances, memory-mapped.

    Arguments
    ---------
    folder : str or Path
        What :func:`cached_features` wrote.

    Example
    -------
    >>> folder = write_features(
    ...     getfixture("tmp_path") / "store",
    ...     [("a", torch.ones(3, 2)), ("b", torch.zeros(5, 2))],
    ... )
    >>> store = FeatureStore(folder)
    >>> frames, num_frames = store.packed(["b", "a"])
    >>> frames.shape, num_frames.tolist()
    (torch.Size([8, 2]), [5, 3])
    """

    def __init__(self, folder):
        folder = Path(folder)
        index = json.loads((folder / "index.json").read_text("utf-8"))
        self.folder = folder
        # A view without the class memmap, whose slices are slow to make.
        self.frames = np.asarray(
            np.load(folder / "frames.npy", mmap_mode="r")
        )
        self.dim = self.frames.shape[1]
        ends = np.cumsum([0, *index["num_frames"]])
        if ends[-1] != len(self.frames):
            raise ValueError(
                f"{folder}: index.json lists {ends[-1]} frames, frames.npy "
                f"has {len(self.frames)}; delete this folder"
            )
        self._spans = {
            name: (int(first), int(last))
            for name, first, last in zip(
                index["ids"], ends, ends[1:], strict=False
            )
        }

    def __len__(self):
        return len(self._spans)

    def utterance(self, name):
        """Frames of one utterance, an array [T, D] on the disk."""
        first, last = self._spans[name]
        return self.frames[first:last]

    def packed(self, names):
        """Frames of several utterances one after the other, no padding.

        Arguments
        ---------
        names : sequence of str
            Utterance ids.

        Returns
        -------
        tuple of torch.Tensor
            Frames [sum of T, D], and frames of each utterance [B].
        """
        pieces = [self.utterance(name) for name in names]
        return (
            torch.from_numpy(np.concatenate(pieces)),
            torch.tensor([len(piece) for piece in pieces]),
        )

    def means(self, names):
        """Mean over frames of each utterance.

        Arguments
        ---------
        names : sequence of str
            Utterance ids.

        Returns
        -------
        numpy.ndarray
            [B, D], float32.
        """
        return np.stack([self.utterance(name).mean(axis=0) for name in names])


def write_features(folder, features):
    """Write a store; nobody sees it before it is complete.

    Arguments
    ---------
    folder : str or Path
        The new folder.
    features : iterable of (str, torch.Tensor)
        Utterance id and its frames [T, D], or one vector [D].

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        Naming an utterance with no frame or with a value that is not finite.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        index = _write_frames(temporary / "frames.npy", features)
        (temporary / "index.json").write_text(json.dumps(index), "utf-8")
        if not folder.exists():
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_frames(path, features):
    index = {"format": _FORMAT, "ids": [], "num_frames": []}
    with open(path, "wb") as file:
        start = width = None
        for name, frames in features:
            frames = torch.atleast_2d(frames).float().cpu().numpy()
            if not len(frames) or not np.isfinite(frames).all():
                raise ValueError(
                    f"{name}: {len(frames)} frames of features, or values "
                    "that are not finite; check this audio and the encoder"
                )
            if start is None:
                width = frames.shape[1]
                start = _write_header(file, 0, width)
            frames.tofile(file)
            index["ids"].append(name)
            index["num_frames"].append(len(frames))
        if start is None:
            raise ValueError(f"{path.parent}: there are no utterances")
        # numpy leaves room in a header for a first axis that grows.
        if _write_header(file, sum(index["num_frames"]), width) != start:
            raise RuntimeError("numpy changed the length of a npy header")
    return index


def _write_header(file, length, width):
    file.seek(0)
    np.lib.format.write_array_header_1_0(
        file,
        {"descr": "<f4", "fortran_order": False, "shape": (length, width)},
    )
    return file.tell()


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
        :mod:`speechbrain_e2v.dataio.upstreams`.
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
    >>> from speechbrain_e2v.dataio.mfcc import MfccStatistics
    >>> from speechbrain_e2v.dataio.utterance import Utterance
    >>> tmp = getfixture("tmp_path")
    >>> soundfile.write(tmp / "a.wav", [0.1, -0.1] * 4000, 16000)
    >>> rows = [Utterance("a", str(tmp / "a.wav"), duration=0.5)]
    >>> cached_features(tmp, MfccStatistics(), rows, progress=False).dim
    240
    """
    key = hashlib.sha256(
        f"{_FORMAT}|{upstream.digest}|{audio_digest(utterances, progress)}"
        .encode()
    ).hexdigest()
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
