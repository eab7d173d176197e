"""Draws that are pure functions of their seed."""

import numpy as np

from speechbrain_e2v.training.seeding import hash_uniform, stable_hash


def test_known_values_never_change():
    """Old runs must stay reproducible: these were written down once."""
    assert stable_hash(1, 23, "03a01Fa", 4) == 8206700567489730608
    assert hash_uniform([7], 2)[0].tolist() == [
        0.41629159502903634,
        0.4499260755746426,
    ]


def test_integers_and_strings_differ():
    assert stable_hash(1) != stable_hash("1")
    assert stable_hash("a", "b") != stable_hash("ab")


def test_uniform_moments_and_independence():
    draws = hash_uniform(range(400), 500)
    assert abs(draws.mean() - 0.5) < 0.003
    assert abs(draws.var() - 1 / 12) < 0.001
    assert draws.min() >= 0 and draws.max() < 1
    neighbours = np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]
    shifted = np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]
    diagonal = np.corrcoef(draws[:-1, 1:].ravel(), draws[1:, :-1].ravel())
    assert max(abs(neighbours), abs(shifted), abs(diagonal[0, 1])) < 0.01


def test_a_row_does_not_depend_on_the_others():
    assert (hash_uniform([5, 9], 8)[1] == hash_uniform([9], 8)[0]).all()
