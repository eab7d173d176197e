"""One vector per utterance, from an encoder or from a file.

A source has ``load(utterances, cache, device)``, which gives
:class:`UtteranceVectors` with a row per utterance in the order given.
"""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sklearn.decomposition import PCA

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.feature_cache import cached_features


@dataclass(frozen=True)
class UtteranceVectors:
    """Vectors of a corpus [U, D], float32 and finite.

    ``description`` is for ``results.json`` and has ``kind``; ``digest``
    changes with the values; ``reduce_to`` is their width after a principal
    component analysis of the training part.
    """

    values: np.ndarray
    description: dict[str, Any]
    digest: str
    reduce_to: int | None = None

    @property
    def dim(self) -> int:
        """Width after the reduction."""
        return self.reduce_to or self.values.shape[1]


class Source(Protocol):
    """What vectors come from."""

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> UtteranceVectors:
        """Vectors of the utterances, computed at most once in ``cache``."""


class SpeechVectors:
    """The mean over frames of what an upstream gives."""

    def __init__(self, upstream: Callable[..., Any]) -> None:
        self.upstream = upstream

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> UtteranceVectors:
        """Vectors of the utterances' audio."""
        upstream = self.upstream(device=device)
        store = cached_features(cache, upstream, utterances)
        values = store.means([u.id for u in utterances])
        return UtteranceVectors(values, upstream.description, store.digest)


class VectorFile:
    """Vectors that somebody else has computed.

    ``x.npz`` holds ``ids`` [U] and ``vectors`` [U, D]. ``x.npy`` holds the
    vectors, and ``x.ids.txt`` beside it one id a line. Utterances in any
    order; more than needed are no error.

    >>> path = getfixture("tmp_path") / "x.npz"
    >>> np.savez(path, ids=["b", "a"], vectors=[[1.0], [2.0]])
    >>> rows = [Utterance("a", "a.wav")]
    >>> VectorFile(path).load(rows, None, "cpu").values.tolist()
    [[2.0]]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> UtteranceVectors:
        """Vectors of the utterances; raises ValueError naming the trouble."""
        ids, vectors = self._read()
        if vectors.ndim != 2 or ids.ndim != 1 or len(ids) != len(vectors):
            raise ValueError(
                f"{self.path}: ids {list(ids.shape)} and vectors "
                f"{list(vectors.shape)}; expected [U] and [U, D]"
            )
        row = {str(name): number for number, name in enumerate(ids)}
        if len(row) < len(ids):
            raise ValueError(f"{self.path}: an id is there twice")
        missing = [u for u in utterances if u.id not in row]
        if missing:
            first = missing[0]
            raise ValueError(
                f"{self.path}: no vector of {len(missing)} of "
                f"{len(utterances)} utterances, such as {first.id} of dialogue "
                f"{first.dialog}; it has ids like {', '.join(list(row)[:3])}"
            )
        values = vectors[[row[u.id] for u in utterances]].astype(np.float32)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            bad = utterances[int(finite.argmin())]
            raise ValueError(
                f"{self.path}: the vector of {bad.id} (dialogue {bad.dialog}) "
                "is not finite"
            )
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        description = {
            "kind": f"vectors of {self.path.name}",
            "file": self.path.name,
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "dim": values.shape[1],
        }
        return UtteranceVectors(values, description, digest)

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.path.is_file():
            raise ValueError(f"there is no file of vectors {self.path}")
        if self.path.suffix == ".npy":
            names = self.path.with_suffix(".ids.txt")
            if not names.is_file():
                raise ValueError(
                    f"{self.path} needs {names} beside it, one id a line"
                )
            lines = names.read_text(encoding="utf-8").split("\n")
            ids = np.array([name for name in lines if name])
            return ids, np.load(self.path)
        try:
            with np.load(self.path) as arrays:
                return arrays["ids"], arrays["vectors"]
        except (KeyError, ValueError, AttributeError, zipfile.BadZipFile) as e:
            raise ValueError(
                f"{self.path} is no npz with the plain arrays ids and vectors "
                f"({e})"
            ) from e


class VectorFiles:
    """One file of vectors, or several side by side."""

    def __init__(self, paths: str | Path | Sequence[str | Path] | None) -> None:
        if paths is None:
            paths = []
        listed = [paths] if isinstance(paths, (str, Path)) else paths
        self.files = [VectorFile(path) for path in listed]

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> UtteranceVectors:
        """Vectors [U, sum of D]."""
        if not self.files:
            raise ValueError(
                "no files of vectors are given; add --vectors FILE, or "
                "--vectors '[FILE, FILE]' for several side by side"
            )
        parts = [f.load(utterances, cache, device) for f in self.files]
        description = {
            "kind": ", ".join(part.description["kind"] for part in parts),
            "parts": [part.description for part in parts],
        }
        digest = hashlib.sha256("".join(p.digest for p in parts).encode())
        values = np.concatenate([part.values for part in parts], axis=1)
        return UtteranceVectors(values, description, digest.hexdigest())


class ReducedVectors:
    """A source whose vectors are reduced, by what training folds show.

    ``dim`` is the width that is left; ``None`` leaves the source alone.
    """

    def __init__(self, source: Source, dim: int | None) -> None:
        self.source = source
        self.dim = dim

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> UtteranceVectors:
        """Vectors, not yet reduced."""
        vectors = self.source.load(utterances, cache, device)
        if self.dim is None:
            return vectors
        width = vectors.values.shape[1]
        if not 1 <= self.dim <= width:
            raise ValueError(
                f"vectors of {width} numbers cannot be reduced to {self.dim}"
            )
        return replace(
            vectors,
            reduce_to=self.dim,
            description={**vectors.description, "reduced_to": self.dim},
            digest=f"{vectors.digest}|{self.dim}",
        )


@dataclass(frozen=True)
class Scaling:
    """``((x - center [D]) @ components.T [D, D']) / scale [D']``."""

    center: np.ndarray
    components: np.ndarray | None
    scale: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scaled values [U, D'], float32."""
        values = values - self.center
        if self.components is not None:
            values = values @ self.components.T
        return (values / self.scale).astype(np.float32)


def fit_scaling(vectors: UtteranceVectors, rows: Sequence[int]) -> Scaling:
    """Principal components and standard deviations of the training rows.

    No other row is looked at. After it these rows have mean 0 and, in each
    dimension that is not constant, deviation 1. Raises ValueError when there
    are fewer rows than components.

    >>> vectors = UtteranceVectors(np.array([[1.0], [3.0], [9.0]]), {}, "")
    >>> fit_scaling(vectors, [0, 1])(vectors.values).tolist()
    [[-1.0], [1.0], [7.0]]
    """
    values = vectors.values[rows].astype(np.float64)
    components = None
    center = values.mean(axis=0)
    if vectors.reduce_to is not None:
        if len(values) < vectors.reduce_to:
            raise ValueError(
                f"{len(values)} training utterances cannot give "
                f"{vectors.reduce_to} principal components; reduce to fewer"
            )
        pca = PCA(vectors.reduce_to, svd_solver="full").fit(values)
        components = pca.components_
        values = (values - center) @ components.T
    scale = values.std(axis=0)
    # A constant dimension stays what it is: zero after centring.
    scale[scale < 1e-8] = 1.0
    return Scaling(center, components, scale)
