"""Ratings: their order, their scale, and what is refused."""

import math

import pytest

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.regression.targets import ratings_of

SCALES = {"arousal": (1, 5), "valence": (-3, 3)}


def rated(**extra):
    return [Utterance("a", "x/a.wav", extra=extra)]


def test_order_is_that_of_the_scales():
    rows = rated(valence=-2, other="text", arousal=4.5)
    assert ratings_of(rows, SCALES) == ({"a": [4.5, -2.0]}, 0)


def test_half_a_unit_outside_is_set_to_the_end_and_counted():
    rows = rated(arousal=0.5, valence=3.5)
    assert ratings_of(rows, SCALES) == ({"a": [1.0, 3.0]}, 2)


@pytest.mark.parametrize(
    "value", [5.6, 0.4, math.nan, math.inf, "3", None, True]
)
def test_refusals_name_utterance_file_and_value(value):
    message = r"a \(x/a.wav\): arousal is .*, on a scale of 1 to 5"
    with pytest.raises(ValueError, match=message):
        ratings_of(rated(arousal=value, valence=0), SCALES)


def test_a_missing_rating():
    with pytest.raises(ValueError, match="valence is None"):
        ratings_of(rated(arousal=3), SCALES)
