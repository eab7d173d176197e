"""Which of a teacher's labels are believed, and why not the others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from speechbrain_e2v.downstream.pseudo_labels.nine_classes import NINE

KEPT = "kept"
POLARITY = {
    "angry": "negative",
    "disgusted": "negative",
    "fearful": "negative",
    "happy": "positive",
    "neutral": "neutral",
    "sad": "negative",
}
"""Sentiment that a text must have; any will do for the other classes."""
_UNKNOWN = "unknown"  # of the nine; it teaches nobody anything
SENTIMENTS = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Judgement:
    """A label, how sure the teachers are, and what became of it."""

    id: str
    label: str
    confidence: float
    reason: str
    kept: bool


class Opinions:
    """What one teacher says, or two that must agree: [N, 9] each.

    The label is the first one's; the confidence its probability, by whichever
    teacher gives less.

    >>> sure = torch.eye(9)[:2]
    >>> Opinions(["a", "b"], [sure, sure.flip(0)]).agree.tolist()
    [False, False]
    """

    def __init__(
        self, ids: Sequence[str], teachers: Sequence[torch.Tensor]
    ) -> None:
        self.ids = list(ids)
        best = [table.argmax(dim=1) for table in teachers]
        self.labels: list[int] = best[0].tolist()
        self.others: list[int] = best[-1].tolist()
        self.agree = best[0] == best[-1]
        given = torch.stack(
            [t.gather(1, best[0][:, None]).squeeze(1) for t in teachers]
        )
        self.confidence: list[float] = given.amin(dim=0).tolist()


def calibrated_thresholds(
    opinions: Opinions,
    truth: Sequence[int],
    precision: float,
    least: int = 10,
) -> dict[str, float | None]:
    """For each class the lowest confidence that keeps a precision.

    Measured on utterances with labels that no teacher was trained on: at least
    ``least`` of them lie above the threshold. ``None``: nothing of this class
    can be believed.

    >>> opinions = Opinions("abc", [torch.tensor([[0.9], [0.8], [0.7]])])
    >>> calibrated_thresholds(opinions, [0, 0, 1], 0.9, least=2)["angry"]
    0.8
    """
    found: dict[str, float | None] = dict.fromkeys(NINE)
    for code, name in enumerate(NINE):
        rows = sorted(
            (
                (round(sure, 6), label == true)
                for label, sure, true, agree in zip(
                    opinions.labels,
                    opinions.confidence,
                    truth,
                    opinions.agree.tolist(),
                    strict=True,
                )
                if label == code and agree
            ),
            reverse=True,
        )
        right = 0
        for count, (sure, hit) in enumerate(rows, start=1):
            right += hit
            tied = count < len(rows) and rows[count][0] == sure
            if count >= least and not tied and right / count >= precision:
                found[name] = sure
    return found


@dataclass(frozen=True)
class Acceptance:
    """What a label needs to be believed.

    ``thresholds`` of each class; ``quota`` the most that are kept of a class,
    the surest ones; ``sentiment`` that of the text, of each utterance that has
    one, with which the label must agree (None: texts do not matter).
    """

    thresholds: Mapping[str, float | None]
    quota: int | None = None
    sentiment: Mapping[str, str] | None = None

    def judge(self, opinions: Opinions) -> list[Judgement]:
        """Every label and what becomes of it, in order of id."""
        rows = sorted(
            zip(
                opinions.ids,
                opinions.labels,
                opinions.others,
                opinions.confidence,
                strict=True,
            )
        )
        reasons = {
            name: self._objection(name, label, other, sure)
            for name, label, other, sure in rows
        }
        taken: Counter[int] = Counter()
        for name, label, _, _ in sorted(rows, key=lambda r: (-r[3], r[0])):
            if reasons[name] is None and self.quota is not None:
                if taken[label] == self.quota:
                    reasons[name] = f"quota of {self.quota} is full"
                else:
                    taken[label] += 1
        return [
            Judgement(
                name, NINE[label], sure, reasons[name] or KEPT,
                reasons[name] is None,
            )
            for name, label, _, sure in rows
        ]  # fmt: skip

    def _objection(
        self, name: str, label: int, other: int, sure: float
    ) -> str | None:
        called = NINE[label]
        if other != label:
            return f"second teacher says {NINE[other]}"
        if called == _UNKNOWN:
            return "the teacher does not know"
        least = self.thresholds[called]
        if least is None:
            return "no confidence of this class is precise enough"
        if round(sure, 6) < least:
            return f"confidence below {least:.3f}"
        if self.sentiment is None or called not in POLARITY:
            return None
        text = self.sentiment.get(name)
        if text is None:
            return "sentiment of the text is not known"
        return None if text == POLARITY[called] else f"text is {text}"
