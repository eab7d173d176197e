"""Reading ahead keeps the order, and does not run away."""

import pytest

from speechbrain_e2v.inference.read_ahead import read_ahead


def test_order_and_depth():
    taken = []

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    for item, result in read_ahead(lambda x: x * x, items(), depth=3):
        assert result == item * item
        assert len(taken) <= item + 4
    assert len(taken) == 20


def test_an_error_comes_at_its_item():
    found = []
    with pytest.raises(ZeroDivisionError):
        for item, _ in read_ahead(lambda x: 1 / x, [2, 1, 0, 5]):
            found.append(item)
    assert found == [2, 1]
