"""Scores of conversations: from the matrix of all folds together."""

from fractions import Fraction

import pytest

from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.conversation.inputs import (
    LoadedInputs,
    chosen_sources,
)
from speechbrain_e2v.downstream.conversation.task import counts_table
from speechbrain_e2v.downstream.conversation.vectors import UtteranceVectors
from speechbrain_e2v.downstream.results import summarise

CLASSES = ("angry", "happy", "neutral", "sad")
MATRIX = [[30, 5, 4, 1], [3, 50, 6, 1], [8, 9, 40, 3], [0, 2, 10, 28]]


def scores_by_hand(matrix):
    """UAR and MacroF1 in percent, as exact fractions."""
    recall, f1 = [], []
    for k, row in enumerate(matrix):
        chosen = sum(other[k] for other in matrix)
        recall.append(Fraction(row[k], sum(row)))
        f1.append(Fraction(2 * row[k], sum(row) + chosen))
    return [100 * sum(part) / len(matrix) for part in (recall, f1)]


def ten_folds():
    """The matrix's entries, dealt out unevenly: fold 9 has one class only."""
    entries = [
        (i, j)
        for i, row in enumerate(MATRIX)
        for j, count in enumerate(row)
        for _ in range(count)
    ]
    last = [entry for entry in entries if entry[0] == 3][:9]
    for entry in last:
        entries.remove(entry)
    parts = [entries[fold::9] for fold in range(9)] + [last]
    return [
        {
            "fold": str(fold),
            "seed": 1,
            "test": [f"{fold}_{i}" for i in range(len(part))],
            "reference": [i for i, _ in part],
            "predicted": [j for _, j in part],
        }
        for fold, part in enumerate(parts)
    ]


def test_scores_are_of_the_pooled_matrix():
    runs = ten_folds()
    found = summarise(runs, ClassTargets(CLASSES), {})
    assert found["confusion"] == MATRIX
    assert found["n_predictions"] == sum(map(sum, MATRIX)) == 200
    uar, macro_f1 = scores_by_hand(MATRIX)
    assert float(uar) == pytest.approx(73.75)  # 30/40, 50/60, 40/60, 28/40
    assert found["pooled"]["ua"] == pytest.approx(float(uar))
    assert found["pooled"]["macro_f1"] == pytest.approx(float(macro_f1))
    # The means over folds stand beside, and are others.
    spread = found["fold_spread"]
    for name in ("ua", "macro_f1"):
        assert abs(spread[name]["mean"] - found["pooled"][name]) > 0.5


def test_inputs_of_both_kinds():
    speech = UtteranceVectors(None, {"kind": "s", "card": {}}, "1")
    text = UtteranceVectors(None, {"kind": "t"}, "2")
    both = LoadedInputs({"speech": speech, "text": text})
    assert both.modality == "speech+text"
    assert both.description == {"kind": "s", "card": {}, "text": {"kind": "t"}}
    digests = {both.digest, LoadedInputs({"speech": speech}).digest}
    assert len(digests | {LoadedInputs({"text": text}).digest}) == 3


def test_counts_without_published_ones():
    about = {
        "dialogues": 1, "utterances": 9, "single_utterance_turns": 9,
        "multi_utterance_turns": 0, "samples": 2, "per_class": {"sad": 2},
        "published_per_class": {},
    }  # fmt: skip
    assert counts_table(about).splitlines()[-1].split() == ["all", "2", "-"]


SOURCES = {"speech": 1, "vectors": 2, "bert": 3, "pieces": 4}


@pytest.mark.parametrize(
    ("inputs", "chosen"),
    [
        ("speech", {"speech": 1}),
        ("vectors", {"speech": 2}),
        ("pieces", {"text": 4}),
        ("pieces+vectors", {"speech": 2, "text": 4}),
    ],
)
def test_inputs_by_name(inputs, chosen):
    found = chosen_sources(inputs, SOURCES)
    assert list(found.items()) == list(chosen.items())


@pytest.mark.parametrize(
    "inputs", ["text", "", "speech+vectors", "bert+pieces", "speech+", None,
               "speech+speech"],
)  # fmt: skip
def test_inputs_that_cannot_be(inputs):
    with pytest.raises(ValueError, match="give speech or vectors") as error:
        chosen_sources(inputs, SOURCES)
    assert f"inputs is {inputs!r}; " in str(error.value)
