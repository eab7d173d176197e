"""Orders and batches of the probe."""

from speechbrain_e2v.downstream.packed import ShuffledBatches

NAMES = [f"u{i:02d}" for i in range(23)]


def order(batches, epoch):
    batches.set_epoch(epoch)
    return list(batches)


def test_every_epoch_holds_every_utterance_once_the_last_batch_too():
    batches = ShuffledBatches(NAMES, batch_size=5, seed=1)
    for epoch in range(3):
        found = order(batches, epoch)
        assert len(found) == len(batches) == 5
        assert [len(batch) for batch in found] == [5, 5, 5, 5, 3]
        assert sorted(sum(found, [])) == NAMES


def test_order_is_a_function_of_seed_and_epoch():
    one = ShuffledBatches(NAMES, batch_size=5, seed=1)
    two = ShuffledBatches(NAMES, batch_size=5, seed=1)
    order(two, 7)
    assert order(one, 2) == order(two, 2)
    assert order(one, 2) != order(one, 3)
    assert order(one, 2) != order(ShuffledBatches(NAMES, 5, seed=2), 2)
