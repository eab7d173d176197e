"""Scores of a classification, in percent.

===========  ==========================================================
wa           weighted accuracy: correct / all (plain accuracy)
ua           unweighted accuracy: mean over classes of the recall
wf1          mean over classes of F1, weighted by the class's share
macro_f1     mean over classes of F1, every class alike
recall       of one class: its correct / all of it
pooled       computed once from the predictions of all folds together
fold spread  mean, standard deviation, least and largest fold score
interval     95 % of the pooled score when speakers are drawn again
===========  ==========================================================

Classes are integers in ``range(n_classes)`` and fixed before any fold. A
class that no reference of a fold has, has no recall there: ``ua`` and
``macro_f1`` of that fold are means over the classes which its reference has.
``n_classes_scored`` says how many these were.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

SCORES = ("wa", "ua", "wf1", "macro_f1")
_GATHERED = 4_000_000  # numbers gathered at once by drawing


def _checked(
    reference: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray, NDArray]:
    reference = np.asarray(reference, dtype=np.int64)
    predicted = np.asarray(predicted, dtype=np.int64)
    if reference.ndim != 1 or reference.shape != predicted.shape:
        raise ValueError(
            "`reference` and `predicted` must be two lists of equal length, "
            f"but are {reference.shape} and {predicted.shape}"
        )
    if not len(reference):
        raise ValueError("there are no utterances to score")
    return reference, predicted


def weighted_accuracy(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Correct predictions in percent of all.

    >>> weighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    75.0
    """
    return 100.0 * float(accuracy_score(*_checked(reference, predicted)))


def unweighted_accuracy(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Mean recall, in percent, of the classes that occur in ``reference``.

    >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    50.0
    """
    reference, predicted = _checked(reference, predicted)
    labels = np.unique(reference)
    return 100.0 * float(
        recall_score(reference, predicted, labels=labels, average="macro")
    )


def weighted_f1(reference: ArrayLike, predicted: ArrayLike) -> float:
    """F1 averaged with the class frequencies of ``reference``, in percent."""
    return 100.0 * _f1(reference, predicted, "weighted")


def macro_f1(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Mean F1, in percent, of the classes that occur in ``reference``.

    >>> round(macro_f1([0, 0, 0, 1], [0, 0, 0, 0]), 2)
    42.86
    """
    return 100.0 * _f1(reference, predicted, "macro")


def _f1(reference: ArrayLike, predicted: ArrayLike, average: str) -> float:
    reference, predicted = _checked(reference, predicted)
    return float(
        f1_score(
            reference,
            predicted,
            labels=np.unique(reference),
            average=average,
            zero_division=0,
        )
    )


def all_scores(reference: ArrayLike, predicted: ArrayLike) -> dict:
    """The four scores and the number of classes behind ``ua``."""
    return {
        "wa": weighted_accuracy(reference, predicted),
        "ua": unweighted_accuracy(reference, predicted),
        "wf1": weighted_f1(reference, predicted),
        "macro_f1": macro_f1(reference, predicted),
        "n_classes_scored": len(np.unique(reference)),
    }


def confusion_matrix(
    reference: ArrayLike, predicted: ArrayLike, n_classes: int
) -> NDArray:
    """Counts [C, C]: row = class of the reference, column = prediction."""
    reference, predicted = _checked(reference, predicted)
    return sklearn_confusion(reference, predicted, labels=range(n_classes))


def recalls(confusion: NDArray) -> list[tuple[int, float]]:
    """Class and its recall in percent, of the classes that are tested.

    ``confusion`` [C, C] has a row a reference.

    >>> recalls(np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2]]))
    [(0, 75.0), (2, 50.0)]
    """
    support = confusion.sum(axis=1)
    return [
        (int(code), 100.0 * float(confusion[code, code] / support[code]))
        for code in np.flatnonzero(support)
    ]


def fold_spread(scores: Sequence[float]) -> dict[str, float]:
    """Mean, deviation (n - 1; 0 of a single fold), least and largest score.

    >>> fold_spread([60.0, 80.0])["mean"]
    70.0
    """
    values = np.asarray(scores, dtype=np.float64)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "min": float(values.min()),
        "max": float(values.max()),
    }


def scores_of_confusions(confusions: NDArray) -> dict[str, NDArray]:
    """The four scores, [R] each, of R confusions [R, C, C], as scikit-learn's.

    Rows of a confusion are references.
    """
    hits = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    support = confusions.sum(axis=2)
    chosen = confusions.sum(axis=1)
    present = support > 0
    recall = hits / np.maximum(support, 1)
    # hits = 0 wherever support + chosen = 0, so F1 is 0 there, never nan
    f1 = 2 * hits / np.maximum(support + chosen, 1)
    n_present = present.sum(axis=1)
    total = support.sum(axis=1)
    return {
        "wa": 100 * hits.sum(axis=1) / total,
        "ua": 100 * recall.sum(axis=1, where=present) / n_present,
        "wf1": 100 * (f1 * support).sum(axis=1) / total,
        "macro_f1": 100 * f1.sum(axis=1, where=present) / n_present,
    }


def floor_confusions(counts: NDArray) -> dict[str, NDArray]:
    """Confusions [F, C, C] of what hears nothing, of counts of classes [F, C].

    ``constant`` is always the most frequent class, ``prior`` what is to be
    expected of classes drawn by their frequency; both know the labels tested.

    >>> found = floor_confusions(np.array([[3, 1]]))
    >>> found["constant"][0].tolist()
    [[3.0, 0.0], [1.0, 0.0]]
    """
    shares = counts.sum(axis=0) / counts.sum()
    most = np.eye(counts.shape[1])[shares.argmax()]
    chosen = {"constant": most, "prior": shares}
    return {name: counts[:, :, None] * row for name, row in chosen.items()}


def speaker_intervals(
    reference: ArrayLike,
    predicted: ArrayLike,
    speakers: Sequence[str],
    n_classes: int,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, list[float]] | None:
    """95 % percentile intervals when speakers are drawn with replacement.

    Utterances of one speaker are right or wrong together, so drawing
    utterances would promise too much. With few speakers (EmoDB has ten) even
    these intervals are rough. ``None`` for fewer than two speakers.
    """
    each = speaker_confusions(reference, predicted, speakers, n_classes)
    return drawn_intervals(each, scores_of_confusions, draws, seed)


def speaker_confusions(
    reference: ArrayLike,
    predicted: ArrayLike,
    speakers: Sequence[str],
    n_classes: int,
) -> NDArray:
    """Confusions [S, C, C] of each speaker, in order of name.

    >>> speaker_confusions([0, 1, 1], [0, 0, 1], "aab", 2)[1].tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    reference, predicted = _checked(reference, predicted)
    owner = np.unique(list(speakers), return_inverse=True)[1]
    each = np.zeros((owner.max() + 1, n_classes, n_classes))
    np.add.at(each, (owner, reference, predicted), 1)
    return each


def drawn_intervals(
    sums: NDArray,
    scores_of: Callable[[NDArray], dict[str, NDArray]],
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, list[float]] | None:
    """95 % of scores that depend on a sum over speakers, by the bootstrap.

    ``sums`` has a row a speaker [S, ...]; ``scores_of`` takes sums of R draws
    [R, ...] and gives [R] a score. ``None`` for fewer than two speakers.

    >>> drawn_intervals(np.ones((3, 2)), lambda x: {"total": x.sum(axis=1)})
    {'total': [6.0, 6.0]}
    """
    if len(sums) < 2:
        return None
    names = list(scores_of(sums.sum(axis=0, keepdims=True)))

    def statistic(drawn: NDArray, axis: int) -> NDArray:  # [R, S] -> [n, R]
        return np.stack(list(scores_of(sums[drawn].sum(axis=1)).values()))

    ends = bootstrap(
        (np.arange(len(sums)),),
        statistic,
        n_resamples=draws,
        batch=max(1, _GATHERED // sums.size),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    pairs = zip(ends.low.tolist(), ends.high.tolist(), strict=True)
    return {name: list(pair) for name, pair in zip(names, pairs, strict=True)}
