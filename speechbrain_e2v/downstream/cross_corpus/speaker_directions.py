"""A control: what is left when no direction tells speakers apart.

The means of the training speakers span a subspace; all vectors are projected
onto its null space (after each feature is divided by its deviation in
training). Then the means of all training speakers are equal, so that no linear
classifier, fitted by logistic regression or LDA, knows one of them from
another. Only the training part is looked at: of the speakers that are tested
nothing is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import orth
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.cross_corpus.vectors import Vectors, deviation
from speechbrain_e2v.downstream.cross_validation import FoldByFold
from speechbrain_e2v.downstream.fold_result import FoldResult
from speechbrain_e2v.lobes.heads import LinearHead


@dataclass(frozen=True)
class Projection:
    """``(x - mean) / scale`` without the directions [D, r], orthonormal."""

    mean: NDArray
    scale: NDArray
    directions: NDArray

    def matrix(self) -> NDArray:
        """The linear part [D, D], of row vectors."""
        eye = np.eye(len(self.mean))
        null = eye - self.directions @ self.directions.T
        return null / self.scale[:, None]

    def __call__(self, vectors: NDArray) -> NDArray:
        """Project vectors [N, D]."""
        scaled = (vectors.astype(np.float64) - self.mean) / self.scale
        return scaled - (scaled @ self.directions) @ self.directions.T


def without_speakers(vectors: NDArray, speakers: Sequence[str]) -> Projection:
    """Fit the projection on vectors [N, D] of training speakers.

    Raises ValueError when the speakers span all that there is.

    >>> x = np.array([[0., 0], [0, 2], [4, 0], [4, 2]])
    >>> without_speakers(x, ["a", "a", "b", "b"])(x)[:, 1].round(6).tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    vectors = vectors.astype(np.float64)
    mean, scale = vectors.mean(axis=0), deviation(vectors)
    scaled = (vectors - mean) / scale
    owner = np.unique(list(speakers), return_inverse=True)[1]
    means = np.stack(
        [scaled[owner == i].mean(axis=0) for i in range(owner.max() + 1)]
    )
    directions = orth((means - means.mean(axis=0)).T)
    if directions.shape[1] >= vectors.shape[1]:
        raise ValueError(
            f"{len(means)} training speakers span all {vectors.shape[1]} "
            "features, so nothing is left without them; keep the speaker "
            "directions of these features (--speaker_directions kept)"
        )
    return Projection(mean, scale, directions)


@dataclass(frozen=True)
class _Projected:
    vectors: Vectors
    projection: Projection

    @property
    def dim(self) -> int:
        return self.vectors.dim

    def means(self, names: Sequence[str]) -> NDArray:
        return self.projection(self.vectors.means(names)).astype(np.float32)


class SpeakerBlindTrainer(FoldByFold):
    """Logistic regression behind :func:`without_speakers` of each fold.

    The head that is kept has swallowed the projection.
    """

    steps = 1

    def __init__(
        self, trainer: LogisticTrainer, speakers: Mapping[str, str]
    ) -> None:
        self._trainer = trainer
        self._speakers = speakers
        self.chooses = trainer.chooses
        self.description = {
            **trainer.description,
            "speaker_directions": "between the means of the training speakers, "
            "projected out",
        }

    def fit(
        self,
        store: Vectors,
        truth: dict[str, int],
        fold: Fold,
        n_classes: int,
        seed: int,
        run_opts: RunOptions | None,
        advance: Callable[[], object],
    ) -> FoldResult:
        """Train on a fold."""
        speakers = [self._speakers[name] for name in fold.train]
        projection = without_speakers(store.means(fold.train), speakers)
        result = self._trainer.fit(
            _Projected(store, projection),
            truth,
            fold,
            n_classes,
            seed,
            run_opts,
            advance,
        )
        assert isinstance(result.head, LinearHead)  # of logistic regression
        layer = result.head.output_layer
        with torch.no_grad():
            matrix = torch.from_numpy(projection.matrix())
            weight = layer.weight.double() @ matrix.T
            bias = layer.bias.double() - weight @ torch.from_numpy(
                projection.mean
            )
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return result
