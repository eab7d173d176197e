"""What a reader of a score has to know, found by looking at the folds."""

from collections import Counter
from collections.abc import Callable, Sequence

from sklearn.metrics import adjusted_mutual_info_score

from speechbrain_e2v.corpora.protocols import OFFICIAL, Fold
from speechbrain_e2v.corpora.utterance import Utterance

_FEW = 5  # utterances; with fewer a single class says nothing of a speaker
_SHOWN = 3
_CONFOUNDED = (
    0.4  # acted corpora have 0.0, four speakers of half the classes 0.5
)


def protocol_caveats(
    folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> list[str]:
    """Who is heard twice, what is never tested, which classes are missing.

    >>> rows = [Utterance(n, f"{n}.wav", spk="1") for n in "abc"]
    >>> protocol_caveats([Fold("x", ("a",), ("b",), ("c",))], rows)[0]
    'test speakers occur in training'
    """
    return [
        caveat
        for look in (_speakers, _testing, _missing_classes, _confounded)
        for caveat in look(folds, utterances)
    ]


def _speakers(
    folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> list[str]:
    speaker = {u.id: u.spk for u in utterances if u.spk}

    def speakers(part: Sequence[str]) -> set[str]:
        return {speaker[name] for name in part if name in speaker}

    caveats = []
    if len(speaker) < len(utterances):
        caveats.append(f"{len(utterances) - len(speaker)} speakers are unknown")
    if any(speakers(f.test) & speakers(f.train) for f in folds):
        caveats.append("test speakers occur in training")
    elif speaker:
        caveats.append("no test speaker occurs in training")
    if any(set(f.test) & set(f.valid) for f in folds):
        caveats.append("the epoch is chosen on test utterances")
    elif any(speakers(f.test) & speakers(f.valid) for f in folds):
        caveats.append("test speakers occur in validation")
    return caveats


def _testing(
    folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> list[str]:
    tested = Counter(name for fold in folds for name in fold.test)
    caveats = []
    # What a corpus calls training is not missing from its test.
    by_design = [fold.name for fold in folds] == [OFFICIAL]
    missing = len(utterances) - len(tested)
    if missing and not by_design:
        caveats.append(
            f"{missing} of {len(utterances)} utterances are never tested"
        )
    if any(count > 1 for count in tested.values()):
        caveats.append("some utterances are tested in several folds")
    return caveats


def _missing_classes(
    folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> list[str]:
    emotion = {u.id: u.emo for u in utterances if u.emo is not None}
    classes = set(emotion.values())

    def missing(part: Sequence[str]) -> set[str]:
        return classes - {emotion[name] for name in part if name in emotion}

    parts: dict[str, Callable[[Fold], Sequence[str]]] = {
        "training": lambda fold: fold.train,
        "validation": lambda fold: fold.valid,
        "the test": lambda fold: fold.test,
    }
    caveats = []
    for name, part in parts.items():
        lacking = {f.name: found for f in folds if (found := missing(part(f)))}
        if lacking:
            shown = "; ".join(
                f"{fold}: {', '.join(sorted(found))}"
                for fold, found in list(lacking.items())[:_SHOWN]
            )
            more = "; ..." if len(lacking) > _SHOWN else ""
            caveats.append(
                f"{name} lacks a class in {len(lacking)} of {len(folds)} folds "
                f"({shown}{more})"
            )
    return caveats


def _confounded(
    folds: Sequence[Fold], utterances: Sequence[Utterance]
) -> list[str]:
    heard: dict[str, Counter[str]] = {}
    for utterance in utterances:
        if utterance.spk and utterance.emo is not None:
            counts = heard.setdefault(utterance.spk, Counter())
            counts[utterance.emo] += 1
    enough = [c for c in heard.values() if c.total() >= _FEW]
    single = sum(len(counts) == 1 for counts in enough)
    classes = {name for counts in heard.values() for name in counts}
    if len(classes) < 2 or len(heard) < 2:
        return []
    if 2 * single > len(enough):
        return [
            f"{single} of {len(enough)} speakers have one class only: speaker "
            "and class are confounded"
        ]
    # 1: one of the two tells the other; 0: they have nothing to do with each
    # other. Adjusted, as many speakers of few utterances agree by chance.
    pairs = [(u.spk, u.emo) for u in utterances if u.spk and u.emo is not None]
    shared = adjusted_mutual_info_score(
        *zip(*pairs, strict=True), average_method="min"
    )
    if shared < _CONFOUNDED:
        return []
    return [
        "speaker and class are confounded: their adjusted mutual information "
        f"is {shared:.2f} of 1"
    ]
