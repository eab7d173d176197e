"""Is one encoder better than another on the same utterances?

Utterances of one speaker are right or wrong together, so speakers are what is
drawn. The interval draws speakers with replacement. The p value swaps the two
encoders' predictions of whole speakers: if neither is better, swapping
changes nothing but chance. All ``2 ** S`` ways are tried for few speakers.
"""

import csv
from pathlib import Path

import numpy as np

from speechbrain_e2v.metrics import SCORES, scores_of_confusions

_EXACT = 12  # speakers; 4096 ways
_DRAWS = 4000


def read_predictions(path):
    """Read ``predictions.csv`` of a run.

    Arguments
    ---------
    path : str or Path
        What a recipe wrote.

    Returns
    -------
    dict
        Columns ``id, speaker, reference, predicted``, lists of str. An
        utterance of unknown speaker is its own speaker.
    """
    with open(Path(path), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ("id", "speaker", "reference", "predicted")
    found = {name: [row[name] for row in rows] for name in columns}
    found["speaker"] = [
        speaker or name
        for speaker, name in zip(found["speaker"], found["id"], strict=True)
    ]
    return found


def paired_difference(first, second, metric="wa", draws=_DRAWS, seed=0):
    """How much better the first is, pooled over folds and seeds.

    Arguments
    ---------
    first, second : dict
        As :func:`read_predictions` gives them, of the same utterances; the
        number of seeds may differ.
    metric : str
        ``wa``, ``ua``, ``wf1`` or ``macro_f1``.
    draws : int
        Draws for the interval, and for p beyond twelve speakers.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict
        ``difference`` (points), ``interval95``, ``p`` (two-sided),
        ``speakers``.

    Raises
    ------
    ValueError
        For an unknown metric, other utterances or other references.

    Example
    -------
    >>> one = {"id": ["a", "b"], "speaker": ["1", "2"],
    ...        "reference": ["x", "y"], "predicted": ["x", "y"]}
    >>> other = {**one, "predicted": ["x", "x"]}
    >>> paired_difference(one, other)["difference"]
    50.0
    """
    if metric not in SCORES:
        raise ValueError(f"metric is {metric!r}; there are {SCORES}")
    _check_pairs(first, second)
    classes = sorted({*first["reference"], *first["predicted"],
                      *second["predicted"]})  # fmt: skip
    names = sorted(set(first["speaker"]))
    sides = [_confusions(side, classes, names) for side in (first, second)]
    # Runs with several seeds must not weigh more than runs with one.
    scale = sides[0].sum() / sides[1].sum()
    sides = sides[0].astype(np.float64), sides[1] * scale

    def score(confusions):
        return scores_of_confusions(confusions)[metric]

    def difference(weights):  # [R, S] -> [R]
        ours, theirs = (np.einsum("rs,sij->rij", weights, c) for c in sides)
        return score(ours) - score(theirs)

    count = len(names)
    observed = float(difference(np.ones((1, count)))[0])
    generator = np.random.default_rng(seed)
    interval = None
    if count > 1:
        drawn = generator.multinomial(
            count, np.full(count, 1 / count), size=draws
        )
        interval = np.percentile(
            difference(drawn.astype(np.float64)), (2.5, 97.5)
        ).tolist()
    swaps = _swaps(count, draws, generator)
    kept = [
        np.einsum("rs,sij->rij", 1 - swaps, mine)
        + np.einsum("rs,sij->rij", swaps, other)
        for mine, other in (sides, sides[::-1])
    ]
    under_chance = np.abs(score(kept[0]) - score(kept[1]))
    extreme = int((under_chance >= abs(observed) - 1e-9).sum())
    exact = count <= _EXACT
    p = extreme / len(swaps) if exact else (extreme + 1) / (len(swaps) + 1)
    return {
        "difference": observed,
        "interval95": interval,
        "p": p,
        "speakers": count,
    }


def _swaps(count, draws, generator):
    if count <= _EXACT:
        ways = np.arange(2**count)[:, None] >> np.arange(count)
        return (ways & 1).astype(np.float64)
    return generator.integers(2, size=(draws, count)).astype(np.float64)


def _confusions(side, classes, names):
    index = {name: i for i, name in enumerate(classes)}
    owner = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(classes), len(classes)), dtype=np.int64)
    np.add.at(
        counts,
        (
            [owner[name] for name in side["speaker"]],
            [index[name] for name in side["reference"]],
            [index[name] for name in side["predicted"]],
        ),
        1,
    )
    return counts


def _check_pairs(first, second):
    tested = [
        {
            (name, speaker, label)
            for name, speaker, label in zip(
                side["id"], side["speaker"], side["reference"], strict=True
            )
        }
        for side in (first, second)
    ]
    if tested[0] != tested[1]:
        odd = sorted(tested[0] ^ tested[1])
        raise ValueError(
            f"{len(odd)} utterances are not in both runs with the same label "
            f"and speaker, such as {odd[0][0]}; compare runs of one corpus "
            "and one protocol"
        )
