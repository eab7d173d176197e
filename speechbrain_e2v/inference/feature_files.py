"""Features as one npy or npz file a clip."""

import os
from pathlib import Path

import numpy as np


class FeatureFiles:
    """Writes a file a clip, whole or not at all.

    Arguments
    ---------
    folder : str or Path
    suffix : str
        ".npy": the values alone. ".npz": `features`, `times` (s) and
        `seconds`.

    Example
    -------
    >>> import torch
    >>> from speechbrain_e2v.inference.extractor import Features
    >>> files = FeatureFiles(getfixture("tmp_path"), ".npy")
    >>> times = torch.tensor([0.0125])
    >>> files.write("a/b", Features("b.wav", torch.ones(1, 4), times, 0.03))
    >>> files.has("a/b"), np.load(files.path("a/b")).shape
    (True, (1, 4))
    """

    def __init__(self, folder, suffix):
        self.folder = Path(folder)
        self.suffix = suffix

    def path(self, name):
        """Return the file of a clip."""
        return self.folder / f"{name}{self.suffix}"

    def has(self, name):
        """Say whether a clip was written, in this run or an earlier one."""
        return self.path(name).is_file()

    def write(self, name, features):
        """Write one clip.

        Arguments
        ---------
        name : str
            Its id.
        features : Features
        """
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                if self.suffix == ".npy":
                    np.save(file, features.values.numpy())
                else:
                    np.savez(
                        file,
                        features=features.values.numpy(),
                        times=features.times.numpy(),
                        seconds=features.seconds,
                    )
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def finish(self, names):
        """Do nothing: every file is complete."""

    def close(self):
        """Do nothing: no file is open."""
