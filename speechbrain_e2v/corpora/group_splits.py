"""Protocols that follow the corpus: sessions, speakers, official parts.

As in :mod:`speechbrain_e2v.corpora.splits`, every function returns
``(train_ids, valid_ids, test_ids)``.
"""

from speechbrain_e2v.corpora.splits import carve_valid

_PARTS = ("train", "valid", "test")


def groups_of(utterances, key):
    """Sorted values of a field, such as every ``"spk"`` or ``"session"``.

    Arguments
    ---------
    utterances : iterable of Utterance
        The corpus.
    key : str
        A field of :class:`Utterance`.

    Raises
    ------
    ValueError
        When an utterance has no value there.

    Example
    -------
    >>> from speechbrain_e2v.corpora.manifest import Utterance
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


def _pick(utterances, key, groups):
    return sorted(u.id for u in utterances if getattr(u, key) in groups)


def leave_one_group_out(utterances, key, group, seed, valid=0.2):
    """Test on one session or speaker.

    Arguments
    ---------
    utterances : sequence of Utterance
        The corpus.
    key : str
        ``"session"``, ``"spk"`` or another field.
    group : str
        The value that is tested.
    seed : int
        Seed of the random validation share.
    valid : float or "next_group"
        Share of the other groups' utterances (0.2 in the released IEMOCAP
        recipe), or the next group in order, so that no group is in two parts.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids).

    Example
    -------
    >>> from speechbrain_e2v.corpora.manifest import Utterance
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
    rest = _pick(utterances, key, set(groups) - {group})
    return (*carve_valid(rest, valid, seed, f"logo:{group}"), test)


def leave_one_speaker_out(utterances, speaker):
    """Test on one speaker, validate on the partner of the same session.

    Arguments
    ---------
    utterances : sequence of Utterance
        Two speakers per session, as in IEMOCAP.
    speaker : str
        The speaker that is tested.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids): 8, 1 and 1 speakers of IEMOCAP.

    Example
    -------
    >>> from speechbrain_e2v.corpora.manifest import Utterance
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
    partner = present - {speaker}
    return (
        _pick(utterances, "spk", set(speakers) - present),
        _pick(utterances, "spk", partner),
        _pick(utterances, "spk", {speaker}),
    )


def official(utterances):
    """The parts that the corpus itself defines.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids).

    Raises
    ------
    ValueError
        When an utterance has no part, or a part is empty.

    Example
    -------
    >>> from speechbrain_e2v.corpora.manifest import Utterance
    >>> rows = [Utterance(p, "x.wav", split=p) for p in _PARTS]
    >>> official(rows)
    (['train'], ['valid'], ['test'])
    """
    return _official(utterances, _PARTS)


def _official(utterances, needed):
    for utterance in utterances:
        if utterance.split not in _PARTS:
            raise ValueError(
                f"{utterance.id} ({utterance.wav}): the official part is "
                f"{utterance.split!r}, not one of {_PARTS}"
            )
    parts = {p: _pick(utterances, "split", {p}) for p in _PARTS}
    empty = [p for p in needed if not parts[p]]
    if empty:
        raise ValueError(
            f"the official split has no {' and no '.join(empty)} utterances; "
            "use another protocol, or official_plus_valid"
        )
    return tuple(parts[p] for p in _PARTS)


def official_plus_valid(utterances, ratio, seed):
    """The official train and test parts; a share of training validates.

    RESD in the paper: "10% from the training samples for validation".

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids).

    Example
    -------
    >>> from speechbrain_e2v.corpora.manifest import Utterance
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
    return (*carve_valid(train, ratio, seed, "official"), test)
