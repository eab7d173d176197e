"""How near posteriors come to what annotators said, of each utterance.

==================  ======================================================
nll                 cross-entropy of the votes, nats; 0 is not reachable
                    where annotators disagree
kl                  divergence of the votes from the posteriors, nats:
                    nll less the entropy of the votes
js                  Jensen-Shannon divergence, bits: 0 to 1
brier               squared distance, 0 to 2
entropy_correlation Pearson's, of both entropies over the utterances:
                    whether it is unsure where annotators disagree
multilabel_macro_f1 percent; a class is meant where it has more than 1/C,
                    as in EMO-SUPERB (Wu et al., 2024)
==================  ======================================================

The first four are means over utterances. A probability below 1e-6 counts as
that, or one certain error would be all that is seen.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import entropy, pearsonr
from sklearn.metrics import f1_score

_LEAST = 1e-6
_ROUNDING = 1e-9  # a share of 1/C is not more than 1/C


def shares(votes: ArrayLike) -> NDArray:
    """Counts of votes [N, C] as distributions.

    >>> shares([[3, 1]]).tolist()
    [[0.75, 0.25]]
    """
    counts = np.asarray(votes, dtype=np.float64)
    return counts / counts.sum(axis=1, keepdims=True)


def vote_scores(
    votes: ArrayLike, posteriors: ArrayLike
) -> dict[str, float | None]:
    """Every score of votes [N, C] and posteriors [N, C].

    A correlation is ``None`` where either entropy never changes; the F1 is of
    the classes that are meant or predicted, ``None`` where there are none.

    >>> found = vote_scores([[3, 1], [4, 0]], [[0.75, 0.25], [1.0, 0.0]])
    >>> abs(found["kl"]) < 1e-5, found["multilabel_macro_f1"]
    (True, 100.0)
    """
    said = shares(votes)
    given = shares(np.asarray(posteriors, np.float64).clip(_LEAST))
    kl = rel_entr(said, given).sum(axis=1)
    uncertainty = entropy(said, axis=1), entropy(given, axis=1)
    threshold = 1 / said.shape[1] + _ROUNDING
    meant, chosen = said > threshold, given > threshold
    seen = np.flatnonzero((meant | chosen).any(axis=0))
    f1 = None
    if len(seen):
        f1 = 100 * float(
            f1_score(
                meant, chosen, labels=seen, average="macro", zero_division=0
            )
        )
    return {
        "nll": float((kl + uncertainty[0]).mean()),
        "kl": float(kl.mean()),
        "js": float((jensenshannon(said, given, base=2, axis=1) ** 2).mean()),
        "brier": float(((said - given) ** 2).sum(axis=1).mean()),
        "entropy_correlation": _correlation(*uncertainty),
        "multilabel_macro_f1": f1,
    }


def _correlation(first: NDArray, second: NDArray) -> float | None:
    if len(first) < 2 or np.ptp(first) < _ROUNDING or np.ptp(second) == 0:
        return None
    return float(pearsonr(first, second).statistic)
