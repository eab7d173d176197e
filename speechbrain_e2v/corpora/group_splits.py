"""Which utterances train, validate and test: by group, or officially.

Groups are the values of a field, such as speakers, sessions and dialogues.
As in :mod:`speechbrain_e2v.corpora.splits`, every split is ``(train, valid,
test)``, three lists of ids.
"""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from sklearn.model_selection import StratifiedGroupKFold

from speechbrain_e2v.corpora.splits import Parts, carve_valid, shuffled
from speechbrain_e2v.corpora.utterance import Utterance

OFFICIAL_PARTS = ("train", "valid", "test")
# Protocols in which a share of the training groups validates.
_WITH_A_SHARE = {
    "spk": "leave_one_speaker_out_carved",
    "session": "leave_one_session_out",
}


def groups_of(utterances: Iterable[Utterance], key: str) -> list[str]:
    """Sorted values of a field, such as every ``"spk"`` or ``"session"``.

    Raises ValueError when an utterance has no value there.

    >>> groups_of([Utterance("b", "b.wav", spk="2")], "spk")
    ['2']
    """
    found = set()
    for utterance in utterances:
        value = getattr(utterance, key)
        if not value:
            raise ValueError(
                f"{utterance.id} ({utterance.wav}) has no {key}, so it cannot "
                f"be split by {key}; use a random protocol"
            )
        found.add(value)
    return sorted(found)


def _pick(
    utterances: Iterable[Utterance], key: str, groups: Collection[str]
) -> list[str]:
    return sorted(u.id for u in utterances if getattr(u, key) in groups)


def _too_few(key: str, groups: Sequence[str]) -> ValueError:
    # Of a single one nothing is left to train on, even if a share validates.
    fitting = _WITH_A_SHARE if len(groups) > 1 else {}
    return ValueError(
        f"{key}: {groups} are too few to train, validate and test on different "
        f"ones; use the protocol {fitting.get(key, 'random_kfold')}"
    )


def leave_one_group_out(
    utterances: Sequence[Utterance],
    key: str,
    group: str,
    seed: int,
    valid: float | Literal["next_group"] = 0.2,
) -> Parts:
    """Test on one session or speaker.

    A share of the other groups' utterances validates (0.2 in the released
    IEMOCAP recipe), or the next group in order, so that no group is in two
    parts.

    >>> rows = [Utterance(n, f"{n}.wav", spk=n[0]) for n in ("a1", "b1", "c1")]
    >>> leave_one_group_out(rows, "spk", "c", seed=1, valid="next_group")
    (['b1'], ['a1'], ['c1'])
    """
    groups = groups_of(utterances, key)
    if group not in groups:
        raise ValueError(
            f"no utterance has {key} {group!r}; there are {groups}"
        )
    test = _pick(utterances, key, {group})
    if valid == "next_group":
        if len(groups) < 3:
            raise _too_few(key, groups)
        partner = groups[(groups.index(group) + 1) % len(groups)]
        rest = set(groups) - {group, partner}
        return (
            _pick(utterances, key, rest),
            _pick(utterances, key, {partner}),
            test,
        )
    others = _pick(utterances, key, set(groups) - {group})
    return *carve_valid(others, valid, seed, f"logo:{group}"), test


def leave_one_speaker_out(
    utterances: Sequence[Utterance], speaker: str
) -> Parts:
    """Test on one speaker, validate on the partner of the same session.

    >>> rows = [
    ...     Utterance(s + g, "x.wav", spk=s + g, session=s)
    ...     for s in "12" for g in "FM"
    ... ]
    >>> leave_one_speaker_out(rows, "1F")
    (['2F', '2M'], ['1M'], ['1F'])
    """
    speakers = groups_of(utterances, "spk")
    groups_of(utterances, "session")
    if speaker not in speakers:
        raise ValueError(f"no speaker {speaker!r}; there are {speakers}")
    sessions = {u.session for u in utterances if u.spk == speaker}
    present = {u.spk for u in utterances if u.session in sessions}
    if len(present) != 2:
        raise ValueError(
            f"the session of {speaker} has the speakers {sorted(present)}, "
            "not two; use leave_one_group_out"
        )
    return (
        _pick(utterances, "spk", set(speakers) - present),
        _pick(utterances, "spk", present - {speaker}),
        _pick(utterances, "spk", {speaker}),
    )


def carved_speaker_out(
    utterances: Sequence[Utterance], speaker: str, ratio: float, seed: int
) -> Parts:
    """Test on one speaker; held-out sentences of the others validate.

    Utterances are held out where a sentence is not known or all say the same.

    >>> rows = [
    ...     Utterance(s + t, "x.wav", spk=s, text=t) for s in "ab" for t in "12"
    ... ]
    >>> carved_speaker_out(rows, "b", 0.5, seed=1)
    (['a1'], ['a2'], ['b1', 'b2'])
    """
    speakers = groups_of(utterances, "spk")
    if speaker not in speakers:
        raise ValueError(f"no speaker {speaker!r}; there are {speakers}")
    others = [u for u in utterances if u.spk != speaker]
    sentences = {u.id: sentence_of(u) for u in others}
    if not all(sentences.values()) or len(set(sentences.values())) < 2:
        sentences = {u.id: u.id for u in others}
    _, carved = carve_valid(
        set(sentences.values()), ratio, seed, f"carved:{speaker}"
    )
    held_out = set(carved)
    return (
        sorted(
            name for name, said in sentences.items() if said not in held_out
        ),
        sorted(name for name, said in sentences.items() if said in held_out),
        _pick(utterances, "spk", {speaker}),
    )


def sentence_of(utterance: Utterance) -> str:
    """What is said, whatever its capitals and blanks; empty: not known."""
    text = utterance.text or utterance.extra.get("sentence")
    return " ".join(str(text or "").casefold().split())


def group_kfold(
    utterances: Sequence[Utterance], key: str, k: int, seed: int
) -> Iterator[Parts]:
    """Blocks of whole groups test, with classes as alike as groups allow.

    scikit-learn's StratifiedGroupKFold makes the ``k`` blocks, and again the
    blocks of what is left, of which the one whose classes are most like the
    rest's validates. Utterances without a class count as one class.

    >>> rows = [Utterance(n, "x.wav", spk=n[0]) for n in ("a1", "b1", "c1")]
    >>> parts = next(group_kfold(rows, "spk", 3, seed=1))
    >>> sorted(name for part in parts for name in part)
    ['a1', 'b1', 'c1']
    """
    groups = groups_of(utterances, key)
    if len(groups) < 3:
        raise _too_few(key, groups)
    if not 3 <= k <= len(groups):
        raise ValueError(
            f"n_folds is {k}, with {len(groups)} values of {key} it must be 3 "
            f"to {len(groups)}: one block tests, another validates"
        )
    rank = {name: i for i, name in enumerate(shuffled(groups, seed, key))}
    rows = sorted(utterances, key=lambda u: u.id)
    for test in _stratified_blocks(rows, key, k, rank):
        rest = [u for u in rows if getattr(u, key) not in test]
        blocks = _stratified_blocks(rest, key, k - 1, rank)
        valid = min(blocks, key=lambda block: _unlikeness(rest, key, block))
        yield (
            _pick(rest, key, set(groups) - test - valid),
            _pick(rest, key, valid),
            _pick(rows, key, test),
        )


def _stratified_blocks(
    rows: Sequence[Utterance], key: str, k: int, rank: Mapping[str, int]
) -> list[set[str]]:
    if k == 1:
        return [{getattr(u, key) for u in rows}]
    classes = [u.emo or "" for u in rows]
    if max(Counter(classes).values()) < k:  # too few to balance anything
        classes = [""] * len(rows)
    # Groups are numbered in shuffled order: the seed decides between equals,
    # the same on every machine and in every version.
    numbers = [rank[getattr(u, key)] for u in rows]
    splitter = StratifiedGroupKFold(k)
    with warnings.catch_warnings():
        # A class with fewer utterances than folds: the caveats say so.
        warnings.filterwarnings("ignore", "The least populated class")
        blocks = [
            {getattr(rows[i], key) for i in test}
            for _, test in splitter.split(numbers, classes, numbers)
        ]
    # The splitter may leave a block empty, as where each group has one class:
    # the smallest group of the block with most of them moves there.
    size = Counter(getattr(u, key) for u in rows)
    for block in blocks:
        if not block:
            donor = max(blocks, key=len)
            moved = min(donor, key=lambda group: (size[group], rank[group]))
            donor.remove(moved)
            block.add(moved)
    return blocks


def _unlikeness(
    rows: Sequence[Utterance], key: str, block: Collection[str]
) -> float:
    """Half the distance between the classes of a block and of all rows."""
    usual = Counter(u.emo for u in rows)
    here = Counter(u.emo for u in rows if getattr(u, key) in block)
    return sum(
        abs(here[name] / here.total() - usual[name] / usual.total())
        for name in usual
    )


def official(utterances: Sequence[Utterance]) -> Parts:
    """The parts that the corpus itself defines; none of them may be empty.

    >>> rows = [Utterance(p, "x.wav", split=p) for p in OFFICIAL_PARTS]
    >>> official(rows)
    (['train'], ['valid'], ['test'])
    """
    return _official(utterances, OFFICIAL_PARTS)


def official_plus_valid(
    utterances: Sequence[Utterance], ratio: float, seed: int
) -> Parts:
    """The official train and test parts; a share of training validates.

    RESD in the paper: "10% from the training samples for validation".

    >>> rows = [
    ...     Utterance(str(i), "x.wav", split="train" if i < 1116 else "test")
    ...     for i in range(1396)
    ... ]
    >>> [len(part) for part in official_plus_valid(rows, 0.1, seed=42)]
    [1004, 112, 280]
    """
    train, valid, test = _official(utterances, ("train", "test"))
    if valid:
        raise ValueError(
            f"the official split has {len(valid)} validation utterances; "
            "use official"
        )
    return *carve_valid(train, ratio, seed, "official"), test


def _official(utterances: Sequence[Utterance], needed: Sequence[str]) -> Parts:
    for utterance in utterances:
        if utterance.split not in OFFICIAL_PARTS:
            raise ValueError(
                f"{utterance.id} ({utterance.wav}): the official part is "
                f"{utterance.split!r}, not one of {OFFICIAL_PARTS}"
            )
    train, valid, test = (
        _pick(utterances, "split", {part}) for part in OFFICIAL_PARTS
    )
    parts = dict(zip(OFFICIAL_PARTS, (train, valid, test), strict=True))
    empty = [part for part in needed if not parts[part]]
    if empty:
        raise ValueError(
            f"the official split has no {' and no '.join(empty)} utterances; "
            "use another protocol, or official_plus_valid"
        )
    return train, valid, test
