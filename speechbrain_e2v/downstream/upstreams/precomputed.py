"""Features that somebody else has computed: any other encoder is a row.

A file or folder takes the place of an encoder: ids of the manifest, and
vectors [D] or frames [T, D] of each.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.inference.feature_index import INDEX
from speechbrain_e2v.inference.feature_store import FRAMES, FeatureStore


class Precomputed:
    """Looks features up by the id of an utterance.

    `vectors` is an ``.npz`` with an array [D] or [T, D] an id, or with ``ids``
    [U] and ``vectors`` [U, D]; or the folder of a feature store. `name` is
    what tables call it. More utterances than needed are no error.

    Raises ValueError naming file and trouble.

    >>> path = getfixture("tmp_path") / "openl3.npz"
    >>> np.savez(path, a=[1.0, 2.0], b=[3.0, 4.0])
    >>> Precomputed(path).look_up(["b"])
    [tensor([3., 4.])]
    """

    def __init__(
        self, vectors: str | Path, name: str = "", device: str = "cpu"
    ) -> None:
        self._path = path = Path(vectors)
        self._rows: dict[str, np.ndarray] = {}
        self._store: FeatureStore | None = None
        if path.is_dir():
            self._store = FeatureStore(path)
            files = [path / INDEX, path / FRAMES]
            self.dim = self._store.dim
        elif path.is_file():
            self._rows, files = _read(path), [path]
            self.dim = _width(path, self._rows)
        else:
            raise ValueError(f"vectors: there is no file or folder {path}")
        digests = [file_sha256(file) for file in files]
        self.digest = hashlib.sha256("|".join(digests).encode()).hexdigest()
        self.description: dict[str, Any] = {
            "kind": f"vectors of {name or path.name}",
            "file": path.name,
            "sha256": digests[0] if len(digests) == 1 else self.digest,
            "dim": self.dim,
            "batching": "not known: computed elsewhere",
        }

    def look_up(self, names: Sequence[str]) -> list[torch.Tensor]:
        """Features [D] or [T, D] of utterances.

        Raises ValueError for one that is missing, or not finite.
        """
        return [self._one(name) for name in names]

    def _one(self, name: str) -> torch.Tensor:
        try:
            found = (
                self._rows[name]
                if self._store is None
                else self._store.utterance(name)
            )
        except KeyError:
            raise ValueError(
                f"{self._path} has nothing of the utterance {name}: its ids "
                "must be those of the manifest"
            ) from None
        values = torch.from_numpy(np.array(found, dtype=np.float32))
        if not values.isfinite().all():
            raise ValueError(f"{self._path}: {name} is not finite")
        return values


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as arrays:
            rows = {name: arrays[name] for name in arrays.files}
    except (ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no npz of plain arrays ({error})"
        ) from error
    if set(rows) == {"ids", "vectors"}:
        ids, vectors = rows["ids"], rows["vectors"]
        if ids.ndim != 1 or len(ids) != len(vectors):
            raise ValueError(
                f"{path}: {list(ids.shape)} ids of {list(vectors.shape)} "
                "vectors; expected [U] and [U, D]"
            )
        rows = dict(zip(map(str, ids), vectors, strict=True))
        if len(rows) < len(ids):
            raise ValueError(f"{path}: an id is there twice")
    return rows


def _width(path: Path, rows: dict[str, np.ndarray]) -> int:
    shapes = {row.shape[-1:] for row in rows.values() if row.size}
    if len(shapes) != 1 or any(
        row.ndim not in (1, 2) or not row.size for row in rows.values()
    ):
        raise ValueError(
            f"{path}: expected arrays [D] or [T, D] of one width D, found "
            f"{sorted(shapes)}"
        )
    return int(next(iter(shapes))[0])
