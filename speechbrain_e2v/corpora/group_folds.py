"""Cross-validation over groups of utterances that must stay together."""

from collections import Counter

from speechbrain_e2v.corpora.group_splits import groups_of
from speechbrain_e2v.corpora.splits import shuffled


def group_blocks(utterances, key, k, seed):
    """Groups dealt into blocks of about as many utterances each.

    Arguments
    ---------
    utterances : sequence of Utterance
        The corpus.
    key : str
        ``"spk"``, ``"dialog"`` or another field.
    k : int
        Number of blocks.
    seed : int
        Another seed, other blocks.

    Returns
    -------
    list of set of str
        ``k`` disjoint sets of groups, none of them empty.

    Raises
    ------
    ValueError
        When an utterance has no group, or there are fewer than ``k``.

    Example
    -------
    >>> from speechbrain_e2v.corpora.utterance import Utterance
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
    blocks, filled = [set() for _ in range(k)], [0] * k
    # Big groups first, each into the block that is least full.
    for name in sorted(groups, key=lambda g: (-sizes[g], order[g])):
        least = min(range(k), key=lambda i: (filled[i], i))
        blocks[least].add(name)
        filled[least] += sizes[name]
    return blocks


def group_kfold(utterances, key, k, fold, seed):
    """Test on one block of groups, validate on the next.

    Arguments
    ---------
    utterances : sequence of Utterance
        The corpus.
    key : str
        Field whose values are never in two parts.
    k, fold : int
        Number of folds (3 or more), and which one (0-based).
    seed : int
        Another seed, other blocks.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids).

    Raises
    ------
    ValueError
        As :func:`group_blocks`, or for a fold that does not exist.

    Example
    -------
    >>> from speechbrain_e2v.corpora.utterance import Utterance
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
    parts = [], [], []
    for utterance in sorted(utterances, key=lambda u: u.id):
        group = getattr(utterance, key)
        part = 2 if group in test else 1 if group in valid else 0
        parts[part].append(utterance.id)
    return parts
