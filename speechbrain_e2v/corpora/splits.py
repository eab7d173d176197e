"""Which utterances train, validate and test: at random.

Pure functions of the set of ids and a seed. Order comes from SHA-256, not
from a random generator, so it depends neither on the order of a folder
listing nor on the version of Python or NumPy. Every split is ``(train, valid,
test)``, three disjoint lists of ids.

The paper (section 4.3) says "randomly split into 80%, 10%, and 10%" in ten
folds; every accuracy it prints is a multiple of 1 / (10 * int(0.1 N)), hence
blocks of ``N // 10``.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Literal

Parts = tuple[list[str], list[str], list[str]]


def shuffled(ids: Iterable[str], seed: int, salt: str = "") -> list[str]:
    """Ids in an order that depends on the set, the seed and the salt only.

    >>> shuffled("abc", 1) == shuffled("cab", 1)
    True
    """

    def rank(name: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}|{salt}|{name}".encode()).digest(), name

    ids = list(ids)
    twice = sorted(name for name, n in Counter(ids).items() if n > 1)
    if twice:
        raise ValueError(f"duplicate ids cannot be split: {twice[:20]}")
    return sorted(ids, key=rank)


def carve_valid(
    ids: Iterable[str], ratio: float, seed: int, salt: str = ""
) -> tuple[list[str], list[str]]:
    """Training and validation ids; 0 <= ratio < 1 is the share of the latter.

    Training gets the first ``int((1 - ratio) * N)`` ids of the shuffled
    order, as in the released code.

    >>> [len(part) for part in carve_valid(map(str, range(4446)), 0.2, 42)]
    [3556, 890]
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"the validation share is {ratio}; use 0 <= share < 1")
    order = shuffled(ids, seed, salt)
    count = int((1 - ratio) * len(order) + 1e-9)  # 0.9 * 10 is 8.99...
    return order[:count], order[count:]


def _check_fold(fold: int, k: int, count: int) -> None:
    if k < 2 or not 0 <= fold < k:
        raise ValueError(f"fold {fold} of {k}: use 2 folds or more, 0-based")
    if count < k:
        raise ValueError(f"{count} utterances cannot fill {k} folds")


def random_kfold(
    ids: Iterable[str],
    k: int,
    fold: int,
    seed: int,
    valid: float | Literal["next_block"] = "next_block",
) -> Parts:
    """Disjoint random test blocks of ``N // k`` utterances.

    The next block validates, or the share ``valid`` of the rest does. The
    ``N - k * (N // k)`` ids left over always train.

    >>> parts = random_kfold(map(str, range(535)), 10, 0, seed=42)
    >>> [len(part) for part in parts]
    [429, 53, 53]
    """
    order = shuffled(ids, seed)
    _check_fold(fold, k, len(order))
    size = len(order) // k
    blocks = [order[i * size : (i + 1) * size] for i in range(k)]
    held_out = {fold, (fold + 1) % k} if valid == "next_block" else {fold}
    rest = [
        name
        for i, block in enumerate([*blocks, order[k * size :]])
        if i not in held_out
        for name in block
    ]
    if valid == "next_block":
        return rest, blocks[(fold + 1) % k], blocks[fold]
    return *carve_valid(rest, valid, seed, f"fold{fold}"), blocks[fold]


def plain_kfold(
    ids: Iterable[str], k: int, fold: int, seed: int, valid: float
) -> Parts:
    """Random blocks that test every utterance; they differ by one in size.

    The first ``N % k`` blocks have one more, as scikit-learn's KFold. The
    share ``valid`` of the rest validates.

    >>> parts = plain_kfold(map(str, range(1012)), 5, 0, 42, valid=0.1)
    >>> [len(part) for part in parts]
    [728, 81, 203]
    """
    order = shuffled(ids, seed)
    _check_fold(fold, k, len(order))
    size, more = divmod(len(order), k)
    start = fold * size + min(fold, more)
    stop = start + size + (fold < more)
    rest = order[:start] + order[stop:]
    return *carve_valid(rest, valid, seed, f"fold{fold}"), order[start:stop]


def random_resample(
    ids: Iterable[str],
    fold: int,
    seed: int,
    valid_ratio: float = 0.1,
    test_ratio: float = 0.1,
) -> Parts:
    """An independent random split for every fold (test sets may overlap).

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


def holdout(
    ids: Iterable[str], test_ratio: float, valid_ratio: float, seed: int
) -> Parts:
    """One random split; validation is a share of what remains for training.

    The paper's visualisations: 8:2, and "10% of the training set" validates.

    >>> parts = holdout(map(str, range(7000)), 0.2, 0.1, seed=42)
    >>> [len(part) for part in parts]
    [5040, 560, 1400]
    """
    rest, test = carve_valid(ids, test_ratio, seed, "holdout")
    return *carve_valid(rest, valid_ratio, seed, "holdout-valid"), test


def validate_on_test(parts: Parts) -> Parts:
    """Validate on the test part (rows marked ``*`` in the paper's Table 2).

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
