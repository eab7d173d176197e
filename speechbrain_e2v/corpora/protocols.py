"""The folds of an experiment: a protocol's name becomes parts of ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from speechbrain_e2v.corpora.group_splits import (
    carved_speaker_out,
    group_kfold,
    groups_of,
    leave_one_group_out,
    leave_one_speaker_out,
    official,
    official_plus_valid,
)
from speechbrain_e2v.corpora.splits import (
    Parts,
    plain_kfold,
    random_kfold,
    random_resample,
    validate_on_test,
)
from speechbrain_e2v.corpora.utterance import Utterance

OFFICIAL = "official"  # name of the only fold
NamedParts = Iterator[tuple[str, Parts]]
Maker = Callable[[Sequence[Utterance], int, int], NamedParts]


@dataclass(frozen=True)
class Fold:
    """Ids that train, choose the epoch, and test.

    ``name`` says what is tested, such as ``"block 0"`` or ``"speaker 03"``.

    >>> Fold("speaker c", ("a",), ("b",), ("c",)).test
    ('c',)
    """

    name: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """How folds are made, in words and in code.

    ``make(utterances, n_folds, seed)`` yields named parts. ``shared`` holds
    the kinds of things (:data:`speechbrain_e2v.corpora.audit.KINDS`) that the
    test part shares with the others by design, ``valid_shared`` what it
    shares with validation alone in addition.
    """

    description: str
    make: Maker
    shared: frozenset[str]
    valid_shared: frozenset[str] = field(default_factory=frozenset)


def _random(
    name: str, split: Callable[[list[str], int, int, int], Parts]
) -> Maker:
    def folds(
        utterances: Sequence[Utterance], n_folds: int, seed: int
    ) -> NamedParts:
        ids = [u.id for u in utterances]
        for fold in range(n_folds):
            yield f"{name} {fold}", split(ids, n_folds, fold, seed)

    return folds


def _leave_one_out(
    key: str, valid: float | Literal["next_group"], prefix: str = ""
) -> Maker:
    def folds(
        utterances: Sequence[Utterance], n_folds: int, seed: int
    ) -> NamedParts:
        for group in groups_of(utterances, key)[:n_folds]:
            yield (
                f"{prefix}{group}",
                leave_one_group_out(utterances, key, group, seed, valid),
            )

    return folds


def _partner_validates(
    utterances: Sequence[Utterance], n_folds: int, seed: int
) -> NamedParts:
    for speaker in groups_of(utterances, "spk")[:n_folds]:
        yield f"speaker {speaker}", leave_one_speaker_out(utterances, speaker)


def _sentences_validate(
    utterances: Sequence[Utterance], n_folds: int, seed: int
) -> NamedParts:
    for speaker in groups_of(utterances, "spk")[:n_folds]:
        parts = carved_speaker_out(utterances, speaker, 0.2, seed)
        yield f"speaker {speaker}", parts


def _test_validates(make: Maker) -> Maker:
    def starred(
        utterances: Sequence[Utterance], n_folds: int, seed: int
    ) -> NamedParts:
        for name, parts in make(utterances, n_folds, seed):
            yield name, validate_on_test(parts)

    return starred


def _group_kfold(key: str) -> Maker:
    def folds(
        utterances: Sequence[Utterance], n_folds: int, seed: int
    ) -> NamedParts:
        parts = group_kfold(utterances, key, n_folds, seed)
        for fold, split in enumerate(parts):
            yield f"{key} block {fold}", split

    return folds


def _official(
    utterances: Sequence[Utterance], n_folds: int, seed: int
) -> NamedParts:
    yield OFFICIAL, official(utterances)


def _official_plus_valid(
    utterances: Sequence[Utterance], n_folds: int, seed: int
) -> NamedParts:
    yield OFFICIAL, official_plus_valid(utterances, 0.1, seed)


# Actors say the same sentences in every session; whole corpora are dialogues.
_ACTED = frozenset({"session", "dialog", "transcript"})
_RANDOM = _ACTED | {"speaker"}
_SESSION = frozenset({"transcript"})
_DIALOG = frozenset({"session", "transcript", "speaker"})
_STARRED = _RANDOM | {"utterance", "audio"}

PROTOCOLS: dict[str, Protocol] = {
    "random_kfold": Protocol(
        "disjoint random blocks of int(N / n_folds) utterances; the next "
        "block validates",
        _random("block", random_kfold),
        _RANDOM,
    ),
    "random_kfold_carved": Protocol(
        "disjoint random blocks of int(N / n_folds) utterances; 10 % of the "
        "rest validates",
        _random(
            "block",
            lambda ids, k, fold, seed: random_kfold(ids, k, fold, seed, 0.1),
        ),
        _RANDOM,
    ),
    "random_kfold_plain": Protocol(
        "disjoint random blocks that test every utterance, as KFold's; 10 % "
        "of the rest validates",
        _random(
            "block",
            lambda ids, k, fold, seed: plain_kfold(ids, k, fold, seed, 0.1),
        ),
        _RANDOM,
    ),
    "random_kfold_plain_test_validates": Protocol(
        "disjoint random blocks that test every utterance, as KFold's; the "
        "block that is tested also validates",
        _test_validates(
            _random(
                "block",
                lambda ids, k, fold, seed: plain_kfold(ids, k, fold, seed, 0),
            )
        ),
        _RANDOM,
        _STARRED,
    ),
    "random_resample": Protocol(
        "n_folds independent random splits, 80 / 10 / 10 %",
        _random(
            "resample",
            lambda ids, k, fold, seed: random_resample(ids, fold, seed),
        ),
        _RANDOM,
    ),
    "leave_one_speaker_out": Protocol(
        "one fold per speaker; the next speaker in order of name validates",
        _leave_one_out("spk", "next_group", "speaker "),
        _ACTED,
    ),
    "leave_one_speaker_out_carved": Protocol(
        "one fold per speaker; 20 % of the other speakers' sentences validate",
        _sentences_validate,
        _ACTED,
    ),
    "leave_one_speaker_out_partner_validates": Protocol(
        "one fold per speaker; the other speaker of the session validates",
        _partner_validates,
        _ACTED,
    ),
    "leave_one_speaker_out_test_validates": Protocol(
        "one fold per speaker; the epoch is chosen on the test speaker "
        "(starred in the paper's Table 2)",
        _test_validates(_leave_one_out("spk", 0)),
        _ACTED,
        _STARRED,
    ),
    "leave_one_session_out": Protocol(
        "one fold per session; 20 % of the other sessions validates",
        _leave_one_out("session", 0.2),
        _SESSION,
    ),
    "leave_one_session_out_next_validates": Protocol(
        "one fold per session; the next session validates",
        _leave_one_out("session", "next_group"),
        _SESSION,
    ),
    "leave_one_session_out_test_validates": Protocol(
        "one fold per session; the epoch is chosen on the test session "
        "(starred in the paper's Table 2)",
        _test_validates(_leave_one_out("session", 0)),
        _SESSION,
        _STARRED,
    ),
    "speaker_kfold": Protocol(
        "n_folds blocks of whole speakers with classes as alike as possible "
        "(StratifiedGroupKFold); another such block validates",
        _group_kfold("spk"),
        _ACTED,
    ),
    "dialog_kfold": Protocol(
        "n_folds blocks of whole dialogues with classes as alike as possible "
        "(StratifiedGroupKFold); another such block validates",
        _group_kfold("dialog"),
        _DIALOG,
    ),
    "official": Protocol(
        "the parts that the corpus defines", _official, _DIALOG
    ),
    "official_plus_valid": Protocol(
        "the parts that the corpus defines; 10 % of training validates",
        _official_plus_valid,
        _DIALOG,
    ),
}


def make_folds(
    protocol: str, utterances: Sequence[Utterance], n_folds: int, seed: int
) -> list[Fold]:
    """Folds of the whole corpus; ``n_folds`` at most, where groups count.

    Raises ValueError for an unknown protocol, or one that does not fit the
    corpus.

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
        Fold(name, tuple(train), tuple(valid), tuple(test))
        for name, (train, valid, test) in PROTOCOLS[protocol].make(
            utterances, n_folds, seed
        )
    ]
    for fold in folds:
        if not (fold.train and fold.valid and fold.test):
            sizes = [len(part) for part in (fold.train, fold.valid, fold.test)]
            raise ValueError(
                f"{protocol}, {fold.name}: {sizes} utterances train, validate "
                "and test; none of them may be 0, use another protocol"
            )
    return folds


def require_choice(
    folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> None:
    """Refuse validation parts with one class, on which a constant is perfect.

    >>> rows = [Utterance(e + n, "", emo=e) for e in "xy" for n in "123"]
    >>> folds = [Fold("a", ("x1", "y1"), ("x2",), ("x3", "y3"))]
    >>> require_choice(folds, rows)
    Traceback (most recent call last):
    ...
    ValueError: a: all 1 utterances that validate are 'x', so nothing can be
    chosen on them; use fewer folds (--n_folds), or another protocol
    """
    emotion = {u.id: u.emo for u in utterances if u.emo is not None}
    for fold in folds:
        trained = {emotion[name] for name in fold.train if name in emotion}
        chosen = {emotion[name] for name in fold.valid if name in emotion}
        if len(trained) > 1 and len(chosen) == 1:
            raise ValueError(
                f"{fold.name}: all {len(fold.valid)} utterances that validate "
                f"are {chosen.pop()!r}, so nothing can be chosen on them; use "
                "fewer folds (--n_folds), or another protocol"
            )
