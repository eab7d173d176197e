"""One vector per utterance, from an encoder or from a file.

A source has ``load(utterances, cache, device)``, which gives
:class:`UtteranceVectors` with a row per utterance in the order given. What is
learned from the rows of the training part comes later, see
:mod:`speechbrain_e2v.downstream.conversation.scaling`.
"""

import hashlib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speechbrain_e2v.downstream.feature_cache import cached_features


@dataclass(frozen=True)
class UtteranceVectors:
    """Vectors of a corpus.

    Arguments
    ---------
    values : numpy.ndarray
        [U, D], float32, finite.
    description : dict
        What ``results.json`` shall say of them; has ``kind``.
    digest : str
        Changes with the values.
    reduce_to : int or None
        Width after a principal component analysis of the training part.

    Example
    -------
    >>> UtteranceVectors(np.ones((3, 8)), {}, "", reduce_to=2).dim
    2
    """

    values: np.ndarray
    description: dict
    digest: str
    reduce_to: int | None = None

    @property
    def dim(self):
        """Width after the reduction."""
        return self.reduce_to or self.values.shape[1]


class SpeechVectors:
    """The mean over frames of an encoder's output.

    Arguments
    ---------
    upstream : callable
        ``upstream(device=...)``, see ``downstream.upstreams``.

    Example
    -------
    >>> from speechbrain_e2v.downstream.mfcc import MfccStatistics
    >>> SpeechVectors(MfccStatistics).upstream().dim
    240
    """

    def __init__(self, upstream):
        self.upstream = upstream

    def load(self, utterances, cache, device):
        """Vectors of the utterances' audio, computed at most once."""
        upstream = self.upstream(device=device)
        store = cached_features(cache, upstream, utterances)
        values = store.means([u.id for u in utterances])
        return UtteranceVectors(values, upstream.description, store.folder.name)


class VectorFile:
    """Vectors that somebody else has computed.

    ``x.npz`` holds ``ids`` [U] and ``vectors`` [U, D]. ``x.npy`` holds the
    vectors, and ``x.ids.txt`` beside it one id a line. Utterances in any
    order; more than needed are no error.

    Arguments
    ---------
    path : str or Path
        The file.

    Example
    -------
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> path = getfixture("tmp_path") / "x.npz"
    >>> np.savez(path, ids=["b", "a"], vectors=[[1.0], [2.0]])
    >>> rows = [Utterance("a", "a.wav")]
    >>> VectorFile(path).load(rows, None, "cpu").values.tolist()
    [[2.0]]
    """

    def __init__(self, path):
        self.path = Path(path)

    def load(self, utterances, cache, device):
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

    def _read(self):
        if not self.path.is_file():
            raise ValueError(f"there is no file of vectors {self.path}")
        if self.path.suffix == ".npy":
            names = self.path.with_suffix(".ids.txt")
            if not names.is_file():
                raise ValueError(
                    f"{self.path} needs {names} beside it, one id a line"
                )
            ids = names.read_text(encoding="utf-8").split("\n")
            ids = np.array([name for name in ids if name])
            return ids, np.load(self.path)
        try:
            with np.load(self.path) as arrays:
                return arrays["ids"], arrays["vectors"]
        except (KeyError, ValueError, AttributeError, zipfile.BadZipFile) as e:
            raise ValueError(
                f"{self.path} is no npz with the plain arrays ids and vectors "
                f"({e})"
            ) from e


class JoinedVectors:
    """Several sources side by side.

    Arguments
    ---------
    sources : sequence
        Sources, such as ``VectorFile``.
    """

    def __init__(self, sources):
        if not sources:
            raise ValueError("no files of vectors are given")
        self.sources = list(sources)

    def load(self, utterances, cache, device):
        """Vectors [U, sum of D]."""
        parts = [s.load(utterances, cache, device) for s in self.sources]
        description = {
            "kind": ", ".join(part.description["kind"] for part in parts),
            "parts": [part.description for part in parts],
        }
        digest = hashlib.sha256("".join(p.digest for p in parts).encode())
        values = np.concatenate([part.values for part in parts], axis=1)
        return UtteranceVectors(values, description, digest.hexdigest())


def files_of_vectors(paths):
    """Vectors of one file, or of several side by side.

    Arguments
    ---------
    paths : str or list of str
        For :class:`VectorFile`.

    Example
    -------
    >>> len(files_of_vectors(["egemaps.npz", "wav2vec2.npz"]).sources)
    2
    """
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    return JoinedVectors([VectorFile(path) for path in paths])


class ReducedVectors:
    """A source whose vectors are reduced, by what training folds show.

    Arguments
    ---------
    source : object
        Any source.
    dim : int or None
        Width that is left; ``None`` leaves the source alone.

    Example
    -------
    >>> ReducedVectors(VectorFile("bert.npz"), 378).dim
    378
    """

    def __init__(self, source, dim):
        self.source = source
        self.dim = dim

    def load(self, utterances, cache, device):
        """Vectors, not yet reduced."""
        vectors = self.source.load(utterances, cache, device)
        if self.dim is None:
            return vectors
        width = vectors.values.shape[1]
        if not 1 <= self.dim <= width:
            raise ValueError(
                f"vectors of {width} numbers cannot be reduced to {self.dim}"
            )
        description = {**vectors.description, "reduced_to": self.dim}
        digest = f"{vectors.digest}|{self.dim}"
        return replace(
            vectors,
            reduce_to=self.dim,
            description=description,
            digest=digest,
        )
