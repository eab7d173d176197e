"""Which utterances train, validate and test: by group, or officially.

Groups are the values of a field, such as speakers, sessions and dialogues.
As in :mod:`speechbrain_e2v.corpora.splits`, every split is ``(train, valid,
test)``, three lists of ids.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from speechbrain_e2v.corpora.splits import Parts, carve_valid, shuffled
from speechbrain_e2v.corpora.utterance import Utterance

OFFICIAL_PARTS = ("train", "valid", "test")


def groups_of(utterances: Iterable[Utterance], key: str) -> list[str]:
    """Sorted values of a field, such as every ``"spk"`` or ``"session"``.

    Raises ValueError when an utterance has no value there.

    Example
    -------
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

    Example
    -------
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
            raise ValueError(
                f"{key}: {groups} are too few to train, validate and test on "
                "different groups; use a validation share"
            )
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

    Example
    -------
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


def group_blocks(
    utterances: Sequence[Utterance], key: str, k: int, seed: int
) -> list[set[str]]:
    """Groups dealt into ``k`` blocks of about as many utterances each.

    Example
    -------
    >>> rows = [Utterance(n, "x.wav", spk=n[0]) for n in ("a1", "a2", "b", "c")]
    >>> sorted(sorted(block) for block in group_blocks(rows, "spk", 2, 1))
    [['a'], ['b', 'c']]
    """
    groups = groups_of(utterances, key)
    if k < 2 or len(groups) < k:
        raise ValueError(
            f"{len(groups)} values of {key} cannot fill {k} folds; choose "
            "at most as many folds as there are"
        )
    sizes = Counter(getattr(u, key) for u in utterances)
    order = {name: i for i, name in enumerate(shuffled(groups, seed, key))}
    blocks: list[set[str]] = [set() for _ in range(k)]
    filled = [0] * k
    # Big groups first, each into the block that is least full.
    for name in sorted(groups, key=lambda g: (-sizes[g], order[g])):
        least = min(range(k), key=lambda i: (filled[i], i))
        blocks[least].add(name)
        filled[least] += sizes[name]
    return blocks


def group_kfold(
    utterances: Sequence[Utterance], key: str, k: int, fold: int, seed: int
) -> Parts:
    """Test on one block of groups, validate on the next (``k`` >= 3).

    Example
    -------
    >>> rows = [Utterance(n, "x.wav", spk=n[0]) for n in ("a1", "b1", "c1")]
    >>> parts = group_kfold(rows, "spk", 3, 0, seed=1)
    >>> sorted(name for part in parts for name in part)
    ['a1', 'b1', 'c1']
    """
    if k < 3 or not 0 <= fold < k:
        raise ValueError(
            f"fold {fold} of {k}: use 3 folds or more, 0-based; one block "
            "tests and another validates"
        )
    blocks = group_blocks(utterances, key, k, seed)
    test, valid = blocks[fold], blocks[(fold + 1) % k]
    rest = {getattr(u, key) for u in utterances} - test - valid
    return (
        _pick(utterances, key, rest),
        _pick(utterances, key, valid),
        _pick(utterances, key, test),
    )


def official(utterances: Sequence[Utterance]) -> Parts:
    """The parts that the corpus itself defines; none of them may be empty.

    Example
    -------
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

    Example
    -------
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
