"""Principal components and standardisation, learned from some rows alone."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA


@dataclass(frozen=True)
class Scaling:
    """``((x - center) @ components.T) / scale``.

    Arguments
    ---------
    center : numpy.ndarray
        [D].
    components : numpy.ndarray or None
        [D', D]; ``None`` for no reduction.
    scale : numpy.ndarray
        [D'].
    """

    center: np.ndarray
    components: np.ndarray | None
    scale: np.ndarray

    def __call__(self, values):
        """Scaled values [U, D'], float32."""
        values = values - self.center
        if self.components is not None:
            values = values @ self.components.T
        return (values / self.scale).astype(np.float32)


def fit_scaling(vectors, rows):
    """Principal components and standard deviations of some rows.

    Arguments
    ---------
    vectors : UtteranceVectors
        Of the whole corpus.
    rows : sequence of int
        Rows of the training part; no other is looked at.

    Returns
    -------
    Scaling
        After it the rows have mean 0 and, in each dimension that is not
        constant, deviation 1.

    Raises
    ------
    ValueError
        When there are fewer rows than components.

    Example
    -------
    >>> from speechbrain_e2v.downstream.conversation.utterance_vectors import (
    ...     UtteranceVectors)
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
