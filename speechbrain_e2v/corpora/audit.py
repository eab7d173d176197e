"""What training, validation and test have in common, and whether they may.

A protocol declares what its parts share by design: random folds share
speakers, the paper's starred folds validate on the test part. Anything else
that is shared is a leak. Identical audio is found by a hash of
the decoded samples, whatever the files are called.
"""

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tqdm import tqdm

from speechbrain_e2v.corpora.audio import decode
from speechbrain_e2v.corpora.protocols import PROTOCOLS

KINDS = ("utterance", "audio", "speaker", "session", "dialog", "transcript")
PAIRS = (("train", "test"), ("valid", "test"), ("train", "valid"))


@dataclass(frozen=True)
class Shared:
    """Something that two parts have in common.

    Arguments
    ---------
    fold : str
        Name of the fold.
    pair : tuple of str
        Such as ``("train", "test")``.
    kind : str
        One of ``KINDS``.
    values : tuple of str
        What is shared; for audio the ids, as ``one = other``.
    declared : bool
        Whether the protocol says so.

    Example
    -------
    >>> Shared("a", ("train", "test"), "speaker", ("03",), False).is_leak
    True
    """

    fold: str
    pair: tuple
    kind: str
    values: tuple
    declared: bool

    @property
    def is_leak(self):
        """Whether it makes a score worth less than it says."""
        return not self.declared


def declared_kinds(protocol, pair):
    """What a protocol's parts may share.

    Arguments
    ---------
    protocol : str or None
        A key of ``DECLARED``; ``None`` declares nothing.
    pair : tuple of str
        One of ``PAIRS``.

    Returns
    -------
    set of str

    Example
    -------
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


def audio_hashes(utterances, progress=True):
    """Digest of the decoded samples of every utterance.

    Arguments
    ---------
    utterances : sequence of Utterance
        With absolute paths.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of str to str
        Utterance id to SHA-256 of its mono samples; the container, the name
        and the rest of the file do not matter.
    """

    def digest(utterance):
        samples, rate = decode(utterance.wav, utterance.start, utterance.stop)
        found = hashlib.sha256(str(rate).encode())
        found.update(samples.numpy().tobytes())
        return found.hexdigest()

    utterances = list(utterances)
    with ThreadPoolExecutor(4) as pool:
        found = tqdm(
            pool.map(digest, utterances),
            total=len(utterances),
            desc="audio hashes",
            unit="utt",
            delay=1,
            disable=not progress,
        )
        names = [utterance.id for utterance in utterances]
        return dict(zip(names, found, strict=True))


def shared_things(folds, utterances, hashes, protocol=None, allowed=()):
    """Everything that two parts of a fold share.

    Arguments
    ---------
    folds : sequence of Fold
        Ids of the parts.
    utterances : sequence of Utterance
        All that the folds name.
    hashes : dict of str to str
        From :func:`audio_hashes`; empty when audio is not compared.
    protocol : str or None
        What declares.
    allowed : collection of str
        Kinds that are declared in addition.

    Returns
    -------
    list of Shared

    Example
    -------
    >>> from speechbrain_e2v.corpora.protocols import Fold
    >>> from speechbrain_e2v.corpora.utterance import Utterance
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


def _keys(utterances, hashes):
    keys = {kind: {} for kind in KINDS}
    for utterance in utterances:
        text = utterance.text or utterance.extra.get("sentence")
        values = {
            "utterance": utterance.id,
            "audio": hashes.get(utterance.id),
            "speaker": utterance.spk,
            "session": utterance.session,
            "dialog": utterance.dialog,
            "transcript": " ".join(str(text or "").casefold().split()),
        }
        for kind, value in values.items():
            if value:
                keys[kind][utterance.id] = value
    return keys


def _common(key, first, second, name_both):
    ours, theirs = ({}, {})
    for part, names in ((ours, first), (theirs, second)):
        for name in names:
            if name in key:
                part.setdefault(key[name], name)
    common = sorted(set(ours) & set(theirs))
    if name_both:
        return tuple(f"{ours[value]} = {theirs[value]}" for value in common)
    return tuple(common)


def repeated_audio(utterances, hashes):
    """Groups of utterances with the same samples.

    Arguments
    ---------
    utterances : sequence of Utterance
        All of them.
    hashes : dict of str to str
        From :func:`audio_hashes`.

    Returns
    -------
    list of tuple
        (ids, classes): more than one class is a wrong label.
    """
    groups = {}
    for utterance in utterances:
        if utterance.id in hashes:
            groups.setdefault(hashes[utterance.id], []).append(utterance)
    return [
        (tuple(u.id for u in group), tuple(sorted({str(u.emo) for u in group})))
        for group in groups.values()
        if len(group) > 1
    ]


def balance(fold, utterances):
    """Classes and durations of the parts of a fold.

    Arguments
    ---------
    fold : Fold
        Ids of the parts.
    utterances : dict of str to Utterance
        By id.

    Returns
    -------
    dict
        Part to ``utterances, hours, mean_seconds, classes``.
    """
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
