"""How good believed labels are, on utterances whose label is known."""

from collections import Counter
from collections.abc import Sequence

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.pseudo_labels.acceptance import Judgement
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import NINE


def audit(
    judgements: Sequence[Judgement], utterances: Sequence[Utterance]
) -> dict:
    """Precision in percent, of each class, speaker and language; confusion.

    ``kept`` of ``labelled`` utterances were believed. ``confusion`` [9, 9] has
    the true class in rows, the label in columns, of what was kept. A precision
    of nothing is None.

    >>> row = Utterance("a", "a.wav", emo="sad", spk="x", lang="de")
    >>> found = audit([Judgement("a", "sad", 0.9, "kept", True)], [row])
    >>> found["precision"], found["speakers"]["x"]["kept"]
    (100.0, 1)
    """
    known = {u.id: u for u in utterances}
    kept = [(known[j.id], j.label) for j in judgements if j.kept]
    classes = {name: _part([p for p in kept if p[1] == name]) for name in NINE}
    confusion = [[0] * len(NINE) for _ in NINE]
    for utterance, label in kept:
        confusion[NINE.index(str(utterance.emo))][NINE.index(label)] += 1
    reasons = Counter(j.reason.split(" below ")[0] for j in judgements)
    return {
        "labelled": len(known),
        **_part(kept),
        "classes": classes,
        "speakers": _grouped(kept, [u.spk for u, _ in kept]),
        "languages": _grouped(kept, [u.lang for u, _ in kept]),
        "names": list(NINE),
        "confusion": confusion,
        "reasons": dict(sorted(reasons.items())),
    }


def audit_lines(found: dict) -> list[str]:
    """The audit for a terminal."""
    lines = [
        f"audit: {found['kept']} of {found['labelled']} labelled utterances "
        f"kept, precision {_percent(found['precision'])}"
    ]
    lines += [
        f"  {name}: {part['kept']} kept, {_percent(part['precision'])}"
        for name, part in found["classes"].items()
        if part["kept"]
    ]
    return lines


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f} %"


def _part(kept: Sequence[tuple[Utterance, str]]) -> dict:
    right = sum(utterance.emo == label for utterance, label in kept)
    precision = 100 * right / len(kept) if kept else None
    return {"kept": len(kept), "right": right, "precision": precision}


def _grouped(
    kept: Sequence[tuple[Utterance, str]], groups: Sequence[str]
) -> dict[str, dict]:
    return {
        group: _part(
            [p for p, g in zip(kept, groups, strict=True) if g == group]
        )
        for group in sorted(set(groups))
    }
