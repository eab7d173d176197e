"""The folds of an experiment, and what must be said about them.

A protocol's name, as written in a recipe's yaml, becomes folds of ids by the
functions of :mod:`speechbrain_e2v.corpora.splits` and
:mod:`speechbrain_e2v.corpora.group_splits`. :func:`protocol_marks` then looks
at the folds themselves and says what a reader of the score has to know.
"""

from dataclasses import dataclass

from speechbrain_e2v.corpora.group_folds import group_kfold
from speechbrain_e2v.corpora.group_splits import (
    groups_of,
    leave_one_group_out,
    leave_one_speaker_out,
    official,
    official_plus_valid,
)
from speechbrain_e2v.corpora.splits import (
    random_kfold,
    random_resample,
    validate_on_test,
)


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


def _random_kfold_carved(utterances, n_folds, seed):
    ids = [u.id for u in utterances]
    for fold in range(n_folds):
        yield f"block {fold}", random_kfold(ids, n_folds, fold, seed, valid=0.1)


def _leave_one_out(key, valid):
    def folds(utterances, n_folds, seed):
        for group in groups_of(utterances, key)[:n_folds]:
            yield (
                group,
                leave_one_group_out(utterances, key, group, seed, valid),
            )

    return folds


def _partner_validates(utterances, n_folds, seed):
    for speaker in groups_of(utterances, "spk")[:n_folds]:
        yield f"speaker {speaker}", leave_one_speaker_out(utterances, speaker)


def _test_validates(folds):
    def starred(utterances, n_folds, seed):
        for name, parts in folds(utterances, n_folds, seed):
            yield name, validate_on_test(parts)

    return starred


def _group_kfold(key):
    def folds(utterances, n_folds, seed):
        for fold in range(n_folds):
            yield (
                f"{key} block {fold}",
                group_kfold(utterances, key, n_folds, fold, seed),
            )

    return folds


def _official(utterances, n_folds, seed):
    yield "official", official(utterances)


def _official_plus_valid(utterances, n_folds, seed):
    yield "official", official_plus_valid(utterances, 0.1, seed)


PROTOCOLS = {
    "random_kfold": _random_kfold,
    "random_kfold_carved": _random_kfold_carved,
    "random_resample": _random_resample,
    "leave_one_speaker_out": _leave_one_speaker_out,
    "leave_one_speaker_out_partner_validates": _partner_validates,
    "leave_one_speaker_out_test_validates": _test_validates(
        _leave_one_out("spk", 0)
    ),
    "leave_one_session_out": _leave_one_out("session", 0.2),
    "leave_one_session_out_next_validates": _leave_one_out(
        "session", "next_group"
    ),
    "leave_one_session_out_test_validates": _test_validates(
        _leave_one_out("session", 0)
    ),
    "speaker_kfold": _group_kfold("spk"),
    "dialog_kfold": _group_kfold("dialog"),
    "official": _official,
    "official_plus_valid": _official_plus_valid,
}
DESCRIPTIONS = {
    "random_kfold": "disjoint random blocks of int(N / n_folds) utterances; "
    "the next block validates",
    "random_kfold_carved": "disjoint random blocks of int(N / n_folds) "
    "utterances; 10 % of the rest validates",
    "random_resample": "n_folds independent random splits, 80 / 10 / 10 %",
    "leave_one_speaker_out": "one fold per speaker; the next speaker in "
    "order of name validates",
    "leave_one_speaker_out_partner_validates": "one fold per speaker; the "
    "other speaker of the session validates",
    "leave_one_speaker_out_test_validates": "one fold per speaker; the epoch "
    "is chosen on the test speaker (starred in the paper's Table 2)",
    "leave_one_session_out": "one fold per session; 20 % of the other "
    "sessions validates",
    "leave_one_session_out_next_validates": "one fold per session; the next "
    "session validates",
    "leave_one_session_out_test_validates": "one fold per session; the epoch "
    "is chosen on the test session (starred in the paper's Table 2)",
    "speaker_kfold": "n_folds blocks of whole speakers; the next block "
    "validates",
    "dialog_kfold": "n_folds blocks of whole dialogues; the next block "
    "validates",
    "official": "the parts that the corpus defines",
    "official_plus_valid": "the parts that the corpus defines; 10 % of "
    "training validates",
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
    >>> from speechbrain_e2v.corpora.utterance import Utterance
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
    folds = [
        Fold(name, *(tuple(part) for part in parts))
        for name, parts in PROTOCOLS[protocol](utterances, n_folds, seed)
    ]
    for fold in folds:
        if not (fold.train and fold.valid and fold.test):
            sizes = [len(part) for part in (fold.train, fold.valid, fold.test)]
            raise ValueError(
                f"{protocol}, {fold.name}: {sizes} utterances train, validate "
                "and test; none of them may be 0, use another protocol"
            )
    return folds


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
    >>> from speechbrain_e2v.corpora.utterance import Utterance
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
        marks.append(
            f"{missing} of {len(utterances)} utterances are never tested"
        )
    if len(set(tested)) < len(tested):
        marks.append("some utterances are tested in several folds")
    return marks
