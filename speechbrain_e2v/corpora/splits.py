"""Which utterances train, validate and test: every protocol of the paper.

Pure functions of the set of ids and a seed. Order comes from SHA-256, not
from a random generator, so it depends neither on the order of a folder
listing nor on the version of Python or NumPy. Every function returns
``(train_ids, valid_ids, test_ids)``, disjoint.

The paper (section 4.3) says "randomly split into 80%, 10%, and 10%" in ten
folds; every accuracy it prints is a multiple of 1 / (10 * int(0.1 N)), hence
blocks of ``N // 10``.
"""

import hashlib


def shuffled(ids, seed, salt=""):
    """Ids in an order that depends on the set, the seed and the salt only.

    Example
    -------
    >>> shuffled("abc", 1) == shuffled("cab", 1)
    True
    """

    def rank(name):
        return hashlib.sha256(f"{seed}|{salt}|{name}".encode()).digest(), name

    ids = list(ids)
    if len(set(ids)) != len(ids):
        twice = sorted({name for name in ids if ids.count(name) > 1})
        raise ValueError(f"duplicate ids cannot be split: {twice[:20]}")
    return sorted(ids, key=rank)


def carve_valid(ids, ratio, seed, salt=""):
    """Split ids into training and validation ids.

    Arguments
    ---------
    ids : iterable of str
        What is left when the test ids are taken away.
    ratio : float
        Share of the validation ids, 0 <= ratio < 1; 0 carves nothing.
    seed, salt : int, str
        What the order depends on.

    Returns
    -------
    tuple of list
        The first ``int((1 - ratio) * N)`` ids of the shuffled order, as the
        released code does, and the rest.

    Example
    -------
    >>> [len(part) for part in carve_valid(map(str, range(4446)), 0.2, 42)]
    [3556, 890]
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"the validation share is {ratio}; use 0 <= share < 1")
    order = shuffled(ids, seed, salt)
    count = int((1 - ratio) * len(order) + 1e-9)  # 0.9 * 10 is 8.99...
    return order[:count], order[count:]


def _check_fold(fold, k, count):
    if k < 2 or not 0 <= fold < k:
        raise ValueError(f"fold {fold} of {k}: use 2 folds or more, 0-based")
    if count < k:
        raise ValueError(f"{count} utterances cannot fill {k} folds")


def random_kfold(ids, k, fold, seed, valid="next_block"):
    """Disjoint random test blocks of ``N // k`` utterances.

    Arguments
    ---------
    ids : iterable of str
        All ids.
    k, fold : int
        Number of folds, and which one (0-based).
    seed : int
        Another seed, other blocks.
    valid : "next_block" or float
        The next block validates, or this share of the rest does.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids); the ``N - k * (N // k)`` ids left
        over always train.

    Example
    -------
    >>> parts = random_kfold(map(str, range(535)), 10, 0, seed=42)
    >>> [len(part) for part in parts]
    [429, 53, 53]
    """
    order = shuffled(ids, seed)
    _check_fold(fold, k, len(order))
    size = len(order) // k
    blocks = [order[i * size : (i + 1) * size] for i in range(k)]
    rest = order[k * size :]
    held_out = {fold}
    if valid == "next_block":
        held_out.add((fold + 1) % k)
    train = [
        name
        for i, block in enumerate(blocks)
        if i not in held_out
        for name in block
    ]
    if valid == "next_block":
        return train + rest, blocks[(fold + 1) % k], blocks[fold]
    return (
        *carve_valid(train + rest, valid, seed, f"fold{fold}"),
        blocks[fold],
    )


def random_resample(ids, fold, seed, valid_ratio=0.1, test_ratio=0.1):
    """An independent random split for every fold (test sets may overlap).

    Arguments
    ---------
    ids : iterable of str
        All ids.
    fold : int
        Salt of the order.
    seed : int
        Seed of the order.
    valid_ratio, test_ratio : float
        Shares, rounded down to whole utterances.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids).

    Example
    -------
    >>> parts = random_resample(map(str, range(535)), 0, seed=42)
    >>> [len(part) for part in parts]
    [429, 53, 53]
    """
    order = shuffled(ids, seed, f"resample{fold}")
    test = int(test_ratio * len(order) + 1e-9)
    valid = int(valid_ratio * len(order) + 1e-9)
    if test < 1 or test + valid >= len(order):
        raise ValueError(
            f"{len(order)} utterances with test share {test_ratio} and "
            f"validation share {valid_ratio} leave a part empty"
        )
    return order[test + valid :], order[test : test + valid], order[:test]


def holdout(ids, test_ratio, valid_ratio, seed):
    """One random split; validation is a share of what remains for training.

    The paper's visualisations: 8:2, and "10% of the training set" validates.

    Returns
    -------
    tuple of list
        (train_ids, valid_ids, test_ids).

    Example
    -------
    >>> parts = holdout(map(str, range(7000)), 0.2, 0.1, seed=42)
    >>> [len(part) for part in parts]
    [5040, 560, 1400]
    """
    rest, test = carve_valid(ids, test_ratio, seed, "holdout")
    return (*carve_valid(rest, valid_ratio, seed, "holdout-valid"), test)


def validate_on_test(parts):
    """Validate on the test part (rows marked ``*`` in the paper's Table 2).

    Arguments
    ---------
    parts : tuple of list
        A split made with a validation share of 0.

    Example
    -------
    >>> validate_on_test((["a"], [], ["b"]))
    (['a'], ['b'], ['b'])
    """
    train, valid, test = parts
    if valid:
        raise ValueError(
            f"{len(valid)} utterances already validate; make the split with "
            "a validation share of 0 first"
        )
    return train, test, test
