"""Scores of a classification, in percent.

===========  ==========================================================
wa           weighted accuracy: correct / all (plain accuracy)
ua           unweighted accuracy: mean over classes of the recall
wf1          mean over classes of F1, weighted by the class's share
macro_f1     mean over classes of F1, every class alike
pooled       computed once from the predictions of all folds together
fold spread  mean, standard deviation, least and largest fold score
interval     95 % of the pooled score when speakers are drawn again
===========  ==========================================================

Classes are integers in ``range(n_classes)`` and fixed before any fold. A
class that no reference of a fold has, has no recall there: ``ua`` and
``macro_f1`` of that fold are means over the classes which its reference has.
``n_classes_scored`` says how many these were.
"""

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

SCORES = ("wa", "ua", "wf1", "macro_f1")


def _checked(reference, predicted):
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


def weighted_accuracy(reference, predicted):
    """Correct predictions in percent of all.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.

    Returns
    -------
    float

    Example
    -------
    >>> weighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    75.0
    """
    return 100.0 * float(accuracy_score(*_checked(reference, predicted)))


def unweighted_accuracy(reference, predicted):
    """Mean recall, in percent, of the classes that occur in ``reference``.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.

    Returns
    -------
    float

    Example
    -------
    >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    50.0
    """
    reference, predicted = _checked(reference, predicted)
    return 100.0 * float(
        recall_score(
            reference,
            predicted,
            labels=np.unique(reference),
            average="macro",
        )
    )


def weighted_f1(reference, predicted):
    """F1 averaged with the class frequencies of ``reference``, in percent.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.

    Returns
    -------
    float

    Example
    -------
    >>> round(weighted_f1([0, 0, 0, 1], [0, 0, 0, 0]), 2)
    64.29
    """
    return 100.0 * _f1(reference, predicted, "weighted")


def macro_f1(reference, predicted):
    """Mean F1, in percent, of the classes that occur in ``reference``.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.

    Returns
    -------
    float

    Example
    -------
    >>> round(macro_f1([0, 0, 0, 1], [0, 0, 0, 0]), 2)
    42.86
    """
    return 100.0 * _f1(reference, predicted, "macro")


def _f1(reference, predicted, average):
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


def all_scores(reference, predicted):
    """The four scores and the number of classes behind ``ua``.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.

    Returns
    -------
    dict
        ``wa, ua, wf1, macro_f1, n_classes_scored``.

    Example
    -------
    >>> all_scores([0, 1], [0, 1])["n_classes_scored"]
    2
    """
    return {
        "wa": weighted_accuracy(reference, predicted),
        "ua": unweighted_accuracy(reference, predicted),
        "wf1": weighted_f1(reference, predicted),
        "macro_f1": macro_f1(reference, predicted),
        "n_classes_scored": len(np.unique(reference)),
    }


def confusion_matrix(reference, predicted, n_classes):
    """Counts: row = class of the reference, column = prediction.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.
    n_classes : int
        Number of classes C, absent ones included.

    Returns
    -------
    numpy.ndarray
        Integers [C, C].

    Example
    -------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 3).tolist()
    [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    """
    reference, predicted = _checked(reference, predicted)
    return sklearn_confusion(reference, predicted, labels=range(n_classes))


def fold_spread(scores):
    """Mean, standard deviation, minimum and maximum of fold scores.

    Arguments
    ---------
    scores : sequence of float
        One score per fold.

    Returns
    -------
    dict
        ``mean, sd, min, max``; ``sd`` with n - 1, 0 for a single fold.

    Example
    -------
    >>> fold_spread([60.0, 80.0])["mean"]
    70.0
    """
    scores = np.asarray(scores, dtype=np.float64)
    return {
        "mean": float(scores.mean()),
        "sd": float(scores.std(ddof=1)) if len(scores) > 1 else 0.0,
        "min": float(scores.min()),
        "max": float(scores.max()),
    }


def scores_of_confusions(confusions):
    """The four scores of each of R confusions, as scikit-learn has them.

    Arguments
    ---------
    confusions : numpy.ndarray
        Counts [R, C, C]; rows are references.

    Returns
    -------
    dict
        Score name to numpy.ndarray [R].
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


def speaker_intervals(
    reference, predicted, speakers, n_classes, draws=2000, seed=0
):
    """95 % percentile intervals when speakers are drawn with replacement.

    Utterances of one speaker are right or wrong together, so drawing
    utterances would promise too much. With few speakers (EmoDB has ten) even
    these intervals are rough.

    Arguments
    ---------
    reference, predicted : sequence of int
        Class indices, one per utterance.
    speakers : sequence of str
        Speaker of each utterance.
    n_classes : int
        Number of classes.
    draws : int
        How often the speakers are drawn.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict or None
        ``{score: [low, high]}``; ``None`` for fewer than two speakers.

    Example
    -------
    >>> speaker_intervals([0, 1, 0, 1], [0, 1, 0, 1], ["a", "a", "b", "b"], 2)[
    ...     "wa"
    ... ]
    [100.0, 100.0]
    """
    reference, predicted = _checked(reference, predicted)
    names, owner = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < 2:
        return None
    each = np.zeros((len(names), n_classes, n_classes), dtype=np.int64)
    np.add.at(each, (owner, reference, predicted), 1)
    times = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=draws
    )
    drawn = np.einsum("rs,sij->rij", times, each)
    return {
        name: np.percentile(values, (2.5, 97.5)).tolist()
        for name, values in scores_of_confusions(drawn).items()
    }
