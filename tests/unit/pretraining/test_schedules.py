"""Schedules: shares of a run or numbers, and a warm-up that ends."""

import math
from functools import partial

import pytest

from speechbrain_e2v.pretraining.schedules import (
    cosine_with_warmup,
    ema_decay,
    whole_updates,
)


@pytest.mark.parametrize(
    ("length", "updates"),
    [("5 %", 95), ("5%", 95), (0.05, 95), (5000, 5000), (0, 0), ("100 %", 1900)]
    + [("12", 12), ("0.5 %", 10)],
)
def test_lengths_are_numbers_or_shares(length, updates):
    assert whole_updates("x", length, 1900) == updates


@pytest.mark.parametrize(
    "length", ["five", "", "-5 %", "105 %", -1, 1.5, math.nan, None, True]
)
def test_other_lengths_are_named(length):
    with pytest.raises(ValueError, match=f"warm is {length}: give a number"):
        whole_updates("warm", length, 1900)


def test_a_share_needs_a_total():
    with pytest.raises(ValueError, match="ema_anneal_updates is 20 %"):
        ema_decay(1, anneal="20 %")


def test_a_short_run_leaves_its_warm_up():
    """20 updates at a warm-up of 5,000 never came to 1 % of the rate."""
    rate = partial(cosine_with_warmup, peak=7.5e-5, warmup="5 %", total=20)
    assert rate(0) == 0 and rate(1) == 7.5e-5
    assert 1e-5 < rate(15) < 7.5e-5
    decay = partial(ema_decay, anneal="20 %", total=20)
    assert decay(2) == pytest.approx((0.999 + 0.99999) / 2)
    assert decay(4) == decay(20) == 0.99999


def test_the_papers_run_is_as_it_was():
    for update in (0, 1, 4999, 5000, 60000, 99999):
        shared = cosine_with_warmup(update, 7.5e-5, "5 %", 100000)
        assert shared == cosine_with_warmup(update, 7.5e-5, 5000, 100000)
        shared = ema_decay(update, anneal="20 %", total=100000)
        assert shared == ema_decay(update, anneal=20000)


@pytest.mark.parametrize("warmup", [20, 5000, "100 %", "98 %"])
def test_a_warm_up_that_fills_the_run_is_refused(warmup):
    with pytest.raises(ValueError, match="would never leave its warm-up"):
        cosine_with_warmup(0, 1.0, warmup, 20)
