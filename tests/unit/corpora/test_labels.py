"""Labels: a fixed order, merges, and unknown labels by name."""

import random

import pytest

from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.corpora.manifest import Utterance

IEMOCAP = LabelSet(("ang", "hap", "neu", "sad"), {"exc": "hap", "fru": None})


def rows(*labels):
    return [Utterance(f"u{i}", f"{i}.wav", emo=e) for i, e in enumerate(labels)]


def test_the_index_is_the_place_in_the_classes_whatever_the_order():
    given = rows("sad", "exc", "fru", "ang", "neu", "hap")
    for seed in range(5):
        mixed = random.Random(seed).sample(given, len(given))
        kept = IEMOCAP.apply(mixed)
        found = dict(
            zip([u.id for u in kept], IEMOCAP.encode(kept), strict=True)
        )
        assert found == {"u0": 3, "u1": 1, "u3": 0, "u4": 2, "u5": 1}


def test_merged_utterances_carry_the_class_name():
    assert [u.emo for u in IEMOCAP.apply(rows("exc", "fru"))] == ["hap"]


def test_unknown_labels_are_named_with_utterance_and_file():
    with pytest.raises(ValueError, match="not merged") as caught:
        IEMOCAP.apply(rows("ang", "joy", "joy", None))
    assert "'joy': 2 utterances, such as u1 (1.wav)" in str(caught.value)
    assert "None: 1 utterances, such as u3 (3.wav)" in str(caught.value)
    with pytest.raises(ValueError, match=r"u0 \(0.wav\): 'exc' is not one of"):
        IEMOCAP.encode(rows("exc"))


@pytest.mark.parametrize(
    ("classes", "merges", "message"),
    [
        (("a", "b", "a"), {}, "each once"),
        ((), {}, "at least one"),
        (("a",), {"b": "c"}, "'b' is merged into 'c'"),
        (("a", "b"), {"a": "b"}, "'a' is a class and is merged"),
    ],
)
def test_contradictions_are_refused(classes, merges, message):
    with pytest.raises(ValueError, match=message):
        LabelSet(classes, merges)
