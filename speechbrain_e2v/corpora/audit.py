"""What training, validation and test have in common, and whether they may.

A protocol declares what its parts share by design: random folds share
speakers, the paper's starred folds validate on the test part. Anything else
that is shared is a leak. Identical audio is found by a hash of
the decoded samples, whatever the files are called.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import decode
from speechbrain_e2v.corpora.group_splits import sentence_of
from speechbrain_e2v.corpora.protocols import PROTOCOLS, Fold
from speechbrain_e2v.corpora.utterance import Utterance

KINDS = ("utterance", "audio", "speaker", "session", "dialog", "transcript")
PAIRS = (("train", "test"), ("valid", "test"), ("train", "valid"))


@dataclass(frozen=True)
class Shared:
    """Something that two parts have in common.

    >>> Shared("a", ("train", "test"), "speaker", ("03",), False).is_leak
    True
    """

    fold: str
    pair: tuple[str, str]  # such as ("train", "test")
    kind: str
    values: tuple[str, ...]  # for audio the ids, as "one = other"
    declared: bool

    @property
    def is_leak(self) -> bool:
        """Whether it makes a score worth less than it says."""
        return not self.declared


def declared_kinds(protocol: str | None, pair: tuple[str, str]) -> set[str]:
    """What a protocol's parts may share.

    >>> sorted(declared_kinds("speaker_kfold", ("train", "test")))
    ['dialog', 'session', 'transcript']
    """
    if pair == ("train", "valid"):
        return set(KINDS) - {"utterance", "audio"}
    if protocol is None:
        return set()
    known = PROTOCOLS[protocol]
    shared = set(known.shared)
    return shared | known.valid_shared if pair[0] == "valid" else shared


def audio_hashes(
    utterances: Iterable[Utterance], progress: bool = True
) -> dict[str, str]:
    """SHA-256 of the decoded mono samples of every utterance, by id."""

    def digest(utterance: Utterance) -> str:
        samples, rate = decode(utterance.wav, utterance.start, utterance.stop)
        found = hashlib.sha256(str(rate).encode())
        found.update(samples.numpy().tobytes())
        return found.hexdigest()

    utterances = list(utterances)
    with ThreadPoolExecutor(4) as pool:
        found = progress_bar(
            pool.map(digest, utterances),
            total=len(utterances),
            desc="audio hashes",
            unit="utt",
            delay=1,
            disable=not progress,
        )
        names = [utterance.id for utterance in utterances]
        return dict(zip(names, found, strict=True))


def shared_things(
    folds: Sequence[Fold],
    utterances: Sequence[Utterance],
    hashes: Mapping[str, str],
    protocol: str | None = None,
    allowed: Collection[str] = (),
) -> list[Shared]:
    """Everything that two parts of a fold share.

    >>> rows = [Utterance(n, f"{n}.wav", spk="1") for n in "abc"]
    >>> found = shared_things([Fold("x", ("a",), ("b",), ("c",))], rows, {})
    >>> [(s.pair, s.kind) for s in found if s.is_leak]
    [(('train', 'test'), 'speaker'), (('valid', 'test'), 'speaker')]
    """
    keys = _keys(utterances, hashes)
    found = []
    for fold in folds:
        for pair in PAIRS:
            first, second = (getattr(fold, part) for part in pair)
            declared = declared_kinds(protocol, pair) | set(allowed)
            for kind in KINDS:
                values = _common(keys[kind], first, second, kind == "audio")
                if values:
                    found.append(
                        Shared(fold.name, pair, kind, values, kind in declared)
                    )
    return found


def _keys(
    utterances: Iterable[Utterance], hashes: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    keys: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for utterance in utterances:
        values = {
            "utterance": utterance.id,
            "audio": hashes.get(utterance.id),
            "speaker": utterance.spk,
            "session": utterance.session,
            "dialog": utterance.dialog,
            "transcript": sentence_of(utterance),
        }
        for kind, value in values.items():
            if value:
                keys[kind][utterance.id] = value
    return keys


def _common(
    key: Mapping[str, str],
    first: Iterable[str],
    second: Iterable[str],
    name_both: bool,
) -> tuple[str, ...]:
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for part, names in ((ours, first), (theirs, second)):
        for name in names:
            if name in key:
                part.setdefault(key[name], name)
    common = sorted(set(ours) & set(theirs))
    if name_both:
        return tuple(f"{ours[value]} = {theirs[value]}" for value in common)
    return tuple(common)


def repeated_audio(
    utterances: Iterable[Utterance], hashes: Mapping[str, str]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Groups of utterances with the same samples."""
    groups: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        if utterance.id in hashes:
            groups.setdefault(hashes[utterance.id], []).append(utterance)
    return [
        (tuple(u.id for u in group), tuple(sorted({str(u.emo) for u in group})))
        for group in groups.values()
        if len(group) > 1
    ]


def balance(
    fold: Fold, utterances: Mapping[str, Utterance]
) -> dict[str, dict[str, Any]]:
    """Classes and durations of the parts of a fold."""
    found = {}
    for part in ("train", "valid", "test"):
        rows = [utterances[name] for name in getattr(fold, part)]
        seconds = sum(row.duration for row in rows)
        classes = Counter(str(row.emo) for row in rows)
        found[part] = {
            "utterances": len(rows),
            "hours": round(seconds / 3600, 4),
            "mean_seconds": round(seconds / max(1, len(rows)), 3),
            "classes": dict(sorted(classes.items())),
        }
    return found
