"""The folds of an experiment, and what must be said about them.

A protocol's name, as written in a recipe's yaml, becomes folds of ids by the
functions of :mod:`speechbrain_e2v.dataio.splits` and
:mod:`speechbrain_e2v.dataio.group_splits`. :func:`protocol_marks` then looks
at the folds themselves and says what a reader of the score has to know.
"""

from dataclasses import dataclass

from speechbrain_e2v.dataio.group_splits import (
    groups_of,
    leave_one_group_out,
    official,
)
from speechbrain_e2v.dataio.splits import random_kfold, random_resample


@dataclass(frozen=True)
class Fold:
    """Ids that train, choose the epoch, and test.

    Arguments
    ---------
    name : str
        What is tested, such as ``"block 0"`` or ``"speaker 03"``.
    train, valid, test : tuple of str
        Utterance ids.

    Example
    -------
    >>> Fold("speaker c", ("a",), ("b",), ("c",)).test
    ('c',)
    """

    name: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


def _random_kfold(utterances, n_folds, seed):
    ids = [u.id for u in utterances]
    for fold in range(n_folds):
        yield f"block {fold}", random_kfold(ids, n_folds, fold, seed)


def _random_resample(utterances, n_folds, seed):
    ids = [u.id for u in utterances]
    for fold in range(n_folds):
        yield f"resample {fold}", random_resample(ids, fold, seed)


def _leave_one_speaker_out(utterances, n_folds, seed):
    speakers = groups_of(utterances, "spk")
    for speaker in speakers[:n_folds]:
        yield (
            f"speaker {speaker}",
            leave_one_group_out(
                utterances, "spk", speaker, seed, valid="next_group"
            ),
        )


def _official(utterances, n_folds, seed):
    yield "official", official(utterances)


PROTOCOLS = {
    "random_kfold": _random_kfold,
    "random_resample": _random_resample,
    "leave_one_speaker_out": _leave_one_speaker_out,
    "official": _official,
}
DESCRIPTIONS = {
    "random_kfold": "disjoint random blocks of int(N / n_folds) utterances; "
    "the next block validates",
    "random_resample": "n_folds independent random splits, 80 / 10 / 10 %",
    "leave_one_speaker_out": "one fold per speaker; the next speaker in "
    "order of name validates",
    "official": "the parts that the corpus defines",
}


def make_folds(protocol, utterances, n_folds, seed):
    """Folds of a protocol.

    Arguments
    ---------
    protocol : str
        A key of ``PROTOCOLS``.
    utterances : sequence of Utterance
        The whole corpus.
    n_folds : int
        Folds of a random protocol; at most so many folds of another.
    seed : int
        Seed of a random protocol.

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        For an unknown protocol, or one that does not fit the corpus.

    Example
    -------
    >>> from speechbrain_e2v.dataio.utterance import Utterance
    >>> rows = [Utterance(n, f"{n}.wav", spk=n[0]) for n in ("a1", "b1", "c1")]
    >>> [f.name for f in make_folds("leave_one_speaker_out", rows, 10, 1)]
    ['speaker a', 'speaker b', 'speaker c']
    """
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"protocol is {protocol!r}; there are {', '.join(PROTOCOLS)}"
        )
    if n_folds < 1:
        raise ValueError(f"n_folds is {n_folds}; it must be at least 1")
    return [
        Fold(name, *(tuple(part) for part in parts))
        for name, parts in PROTOCOLS[protocol](utterances, n_folds, seed)
    ]


def protocol_marks(folds, utterances):
    """What a reader has to know, found by looking at the folds.

    Arguments
    ---------
    folds : sequence of Fold
        All folds of an experiment.
    utterances : sequence of Utterance
        The whole corpus.

    Returns
    -------
    list of str

    Example
    -------
    >>> from speechbrain_e2v.dataio.utterance import Utterance
    >>> rows = [Utterance(n, f"{n}.wav", spk="1") for n in "abc"]
    >>> protocol_marks([Fold("x", ("a",), ("b",), ("c",))], rows)[0]
    'test speakers occur in training'
    """
    speaker = {u.id: u.spk for u in utterances if u.spk}

    def speakers(part):
        return {speaker[name] for name in part if name in speaker}

    marks = []
    if len(speaker) < len(utterances):
        marks.append(f"{len(utterances) - len(speaker)} speakers are unknown")
    if any(speakers(f.test) & speakers(f.train) for f in folds):
        marks.append("test speakers occur in training")
    elif speaker:
        marks.append("no test speaker occurs in training")
    if any(set(f.test) & set(f.valid) for f in folds):
        marks.append("the epoch is chosen on test utterances")
    elif any(speakers(f.test) & speakers(f.valid) for f in folds):
        marks.append("test speakers occur in validation")
    tested = [name for fold in folds for name in fold.test]
    if len(set(tested)) < len(utterances):
        missing = len(utterances) - len(set(tested))
        marks.append(f"{missing} of {len(utterances)} are never tested")
    if len(set(tested)) < len(tested):
        marks.append("some utterances are tested in several folds")
    return marks
