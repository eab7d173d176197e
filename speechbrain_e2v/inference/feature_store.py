"""Features on the disk, memory-mapped.

A store is a folder with ``frames.npy``, the float32 frames of all utterances
one after the other, and ``index.json``, which says where each lies.
:mod:`speechbrain_e2v.downstream.feature_cache` fills and finds stores.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch

_FORMAT = 1


class FeatureStore:
    """Features of many utterances, memory-mapped.

    Arguments
    ---------
    folder : str or Path
        What :func:`write_features` wrote.

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
        self.frames = np.asarray(np.load(folder / "frames.npy", mmap_mode="r"))
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
