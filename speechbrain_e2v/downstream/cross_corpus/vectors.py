"""One vector an utterance, of several corpora, by id."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechbrain_e2v.inference.feature_store import FeatureStore

TRAINING, EACH_CORPUS = "training", "corpus"
STANDARDISED = (TRAINING, EACH_CORPUS)
"""By the training part, or each corpus by itself (its labels are not used)."""


@dataclass(frozen=True)
class Vectors:
    """Utterance means, with what a trainer asks of a feature store.

    ``digest`` is of what the vectors depend on.
    """

    rows: Mapping[str, NDArray]
    digest: str

    @property
    def dim(self) -> int:
        """D."""
        return len(next(iter(self.rows.values())))

    def means(self, names: Sequence[str]) -> NDArray:
        """Vectors [N, D], float32."""
        return np.stack([self.rows[name] for name in names])


def deviation(vectors: NDArray) -> NDArray:
    """Standard deviation [D] of vectors [N, D]; 1 of what never changes."""
    found = vectors.std(axis=0)
    # As scikit-learn's StandardScaler: rounding is no change.
    still = found <= 10 * np.finfo(np.float32).eps * np.abs(
        vectors.mean(axis=0)
    )
    return np.where(still | (found == 0), 1.0, found)


def joined_vectors(
    stores: Mapping[str, FeatureStore],
    ids: Mapping[str, Iterable[str]],
    standardised: str,
) -> Vectors:
    """Vectors of all corpora, called ``<corpus>/<id>``.

    With ``EACH_CORPUS`` every corpus gets mean 0 and deviation 1, as one that
    is recorded in one place could be before anybody has labelled it.
    """
    rows: dict[str, NDArray] = {}
    digest = hashlib.sha256(standardised.encode())
    for corpus, store in stores.items():
        names = list(ids[corpus])
        vectors = store.means(names)
        if standardised == EACH_CORPUS:
            exact = vectors.astype(np.float64)
            scaled = (exact - exact.mean(axis=0)) / deviation(exact)
            vectors = scaled.astype(np.float32)
        rows |= {
            f"{corpus}/{name}": row
            for name, row in zip(names, vectors, strict=True)
        }
        digest.update(f"|{corpus}|{store.digest}".encode())
    return Vectors(rows, digest.hexdigest())
