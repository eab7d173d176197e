"""Whom a round believes, and the audit of it."""

import pytest
import torch

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.pseudo_labels.acceptance import (
    Acceptance,
    Opinions,
    calibrated_thresholds,
)
from speechbrain_e2v.downstream.pseudo_labels.audit import audit, audit_lines
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import NINE

HALF = dict.fromkeys(NINE, 0.5)


def table(*rows):
    """Probabilities, of (class, confidence); the rest is divided."""
    found = torch.zeros(len(rows), len(NINE), dtype=torch.float64)
    for row, (name, sure) in zip(found, rows, strict=True):
        row += (1 - sure) / (len(NINE) - 1)
        row[NINE.index(name)] = sure
    return found


def reasons(judgements):
    return {j.id: j.reason for j in judgements}


def test_threshold_and_quota_by_confidence_then_id():
    opinions = Opinions(
        "dcba",
        [table(("sad", 0.9), ("sad", 0.9), ("sad", 0.7), ("happy", 0.4))],
    )
    assert reasons(Acceptance(HALF, quota=1).judge(opinions)) == {
        "a": "confidence below 0.500",
        "b": "quota of 1 is full",
        "c": "kept",
        "d": "quota of 1 is full",
    }


def test_two_teachers_must_agree_and_the_less_sure_one_counts():
    first = table(("sad", 0.9), ("sad", 0.9), ("angry", 0.9))
    second = table(("sad", 0.6), ("happy", 0.9), ("angry", 0.4))
    found = Acceptance(HALF).judge(Opinions("abc", [first, second]))
    assert reasons(found) == {
        "a": "kept",
        "b": "second teacher says happy",
        "c": "confidence below 0.500",
    }
    assert [round(j.confidence, 6) for j in found] == [0.6, 0.0125, 0.4]


def test_text_must_agree_where_a_class_has_a_sentiment():
    rows = table(*[("sad", 0.9)] * 3, ("surprised", 0.9))
    texts = {"a": "negative", "b": "positive"}
    found = Acceptance(HALF, sentiment=texts).judge(Opinions("abcd", [rows]))
    assert reasons(found) == {
        "a": "kept",
        "b": "text is positive",
        "c": "sentiment of the text is not known",
        "d": "kept",
    }


def test_unknown_is_never_believed():
    found = Acceptance(HALF).judge(Opinions("a", [table(("unknown", 0.99))]))
    assert reasons(found) == {"a": "the teacher does not know"}


def test_calibrated_thresholds_keep_their_precision():
    sure = [0.95, 0.9, 0.85, 0.8, 0.8, 0.7]
    truth = ["sad", "sad", "angry", "sad", "sad", "angry"]
    opinions = Opinions("abcdef", [table(*[("sad", p) for p in sure])])
    codes = [NINE.index(name) for name in truth]

    def of(precision, least):
        found = calibrated_thresholds(opinions, codes, precision, least)
        return found.pop("sad"), set(found.values())

    assert of(1.0, 2) == (0.9, {None})
    assert of(0.8, 2) == (0.8, {None})  # 4 of 5: both with 0.8 are in
    assert of(1.0, 3) == (None, {None})
    thresholds = calibrated_thresholds(opinions, codes, 0.8, 2)
    kept = [j for j in Acceptance(thresholds).judge(opinions) if j.kept]
    assert [j.id for j in kept] == list("abcde")
    none = Acceptance({**thresholds, "sad": None}).judge(opinions)
    assert set(reasons(none).values()) == {
        "no confidence of this class is precise enough"
    }


def test_audit_by_class_speaker_and_language():
    rows = table(("sad", 0.9), ("sad", 0.8), ("happy", 0.7), ("happy", 0.3))
    judgements = Acceptance(HALF).judge(Opinions("abcd", [rows]))
    people = [
        Utterance(name, f"{name}.wav", emo=emo, spk=spk, lang=lang)
        for name, emo, spk, lang in (
            ("a", "sad", "1", "de"), ("b", "angry", "1", "pl"),
            ("c", "happy", "2", "pl"), ("d", "sad", "2", "pl"),
        )
    ]  # fmt: skip
    found = audit(judgements, people)
    assert (found["labelled"], found["kept"], found["right"]) == (4, 3, 2)
    assert found["classes"]["sad"]["precision"] == 50
    assert found["classes"]["angry"]["precision"] is None
    assert found["speakers"]["1"]["precision"] == 50
    assert {k: v["precision"] for k, v in found["languages"].items()} == {
        "de": 100,
        "pl": 50,
    }
    row = found["confusion"][NINE.index("angry")]
    assert row[NINE.index("sad")] == sum(row) == 1
    assert found["reasons"] == {"confidence": 1, "kept": 3}
    assert "precision 66.7 %" in audit_lines(found)[0]


@pytest.mark.parametrize("sure", [(), (0.9,)])
def test_nothing_kept_has_no_precision(sure):
    rows = table(*[("sad", p) for p in sure])
    people = [Utterance("a", "a.wav", emo="sad") for _ in sure]
    strict = dict.fromkeys(NINE, 0.99)
    names = [u.id for u in people]
    found = audit(Acceptance(strict).judge(Opinions(names, [rows])), people)
    assert found["precision"] is None
    assert "not known" in audit_lines(found)[0]
