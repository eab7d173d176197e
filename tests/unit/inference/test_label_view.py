"""Merged and restricted classes."""

import pytest
import torch

from speechbrain_e2v.inference.label_view import label_view
from speechbrain_e2v.inference.trained import ClassLabel, corpus_labels

LABELS = corpus_labels(["anger", "happiness", "excited", "sadness"])
P = torch.tensor([[0.4, 0.1, 0.2, 0.3], [0.0, 0.5, 0.5, 0.0]]).double()


def shown(**choice):
    view = label_view(LABELS, **choice)
    return view.names, view.probabilities(P.log()).tolist()


def test_without_a_choice_nothing_changes():
    ids, rows = shown()
    assert ids == ("anger", "happiness", "excited", "sadness")
    assert rows == [pytest.approx(row) for row in P.tolist()]


def test_restricted_classes_are_renormalised_and_keep_their_order():
    ids, rows = shown(only=["sad", "happiness"])
    assert ids == ("happiness", "sadness")
    assert rows == [pytest.approx([0.25, 0.75]), pytest.approx([1.0, 0.0])]


def test_merged_classes_are_added_up():
    ids, rows = shown(merge={"happy": ["happy", "excited"]})
    assert ids == ("anger", "happy", "sadness")
    assert rows[0] == pytest.approx([0.4, 0.3, 0.3])


def test_merging_comes_before_restricting():
    ids, rows = shown(
        merge={"positive": ["happiness", "excited"]}, only=["positive", "anger"]
    )
    assert ids == ("anger", "positive")
    assert rows[0] == pytest.approx([4 / 7, 3 / 7])


def test_published_strings_name_classes():
    labels = (ClassLabel("happy", "开心/happy", "happy"), LABELS[3])
    view = label_view(labels, only=["开心/happy"])
    assert (view.names, view.published) == (("happy",), ("开心/happy",))


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ({"only": ["joy"]}, "no class 'joy'; there are anger, happiness"),
        ({"only": []}, "at least one class"),
        ({"merge": {"x": ["joy"]}}, "no class 'joy'"),
        ({"merge": {"x": []}}, "'x' is made of no class"),
        ({"merge": {"sad": ["happy", "angry"]}}, "'sad' is also a class"),
        (
            {"merge": {"x": ["happy"], "y": ["happiness"]}},
            "'happiness' is part of both 'x' and 'y'",
        ),
        (
            {"merge": {"x": ["happy", "sad"]}, "only": ["sad"]},
            "no class 'sad'; there are anger, x",
        ),
    ],
)
def test_what_is_not_there_is_named(choice, named):
    with pytest.raises(ValueError, match=named):
        label_view(LABELS, **choice)


def test_the_corpus_s_own_name_wins_over_an_alias():
    labels = (ClassLabel("happy", "joy", "joy"), ClassLabel("x", "happy", "y"))
    assert label_view(labels, only=["happy"]).names == ("y",)
    assert label_view(labels, only=["joy"]).names == ("joy",)
