"""Padded tensors of samples against the samples they are made of."""

import numpy as np

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.downstream.conversation.batches import (
    BatchesOfLikeLength,
    SampleTensors,
)
from speechbrain_e2v.downstream.conversation.samples import (
    conversation_caveats,
    samples_of,
)
from speechbrain_e2v.downstream.conversation.vectors import UtteranceVectors
from tests.unit.downstream.conversation.test_samples import FOUR, spoken

ROWS = spoken("A B C A B A C A", "d1") + spoken("B B A B A A B A B", "d2")
SAMPLES = samples_of(ROWS, FOUR, 6, 2)


def conversations(samples=tuple(SAMPLES), digest="1"):
    vectors = UtteranceVectors(np.zeros((len(ROWS), 1)), {}, digest)
    return SampleTensors(ROWS, samples, [vectors])


def test_batches_hold_what_the_samples_say():
    store = conversations()
    order = SAMPLES[::-1]
    labels = {s.target.id: i for i, s in enumerate(order)}
    batch = store.batch(list(labels), labels)
    assert batch.labels.tolist() == list(range(len(order)))
    assert batch.rows.shape[1] == int(batch.lengths.max())
    for i, sample in enumerate(order):
        said = [(u, t) for t, turn in enumerate(sample.context) for u in turn]
        n = int(batch.lengths[i])
        assert n == len(said) == store.length(sample.target.id)
        assert [ROWS[row] for row in batch.rows[i, :n]] == [u for u, _ in said]
        assert batch.turns[i, :n].tolist() == [t for _, t in said]
        for role, (u, _) in zip(batch.roles[i], said, strict=False):
            others = [sample.target.spk, sample.interlocutor]
            expected = others.index(u.spk) if u.spk in others else 2
            assert int(role) == expected


def test_context_rows_are_those_of_the_samples_alone():
    store = conversations()
    chosen = [s for s in SAMPLES if s.target.dialog == "d2"][:2]
    heard = {u.id for s in chosen for turn in s.context for u in turn}
    rows = store.context_rows([s.target.id for s in chosen])
    assert len(rows) == len(heard)
    assert {ROWS[row].id for row in rows} == heard


def test_folder_changes_with_samples_and_inputs():
    names = {
        conversations().digest,
        conversations(digest="2").digest,
        conversations(SAMPLES[1:]).digest,
    }
    assert len(names) == 3
    assert conversations().digest in names


def test_every_sample_once_an_epoch():
    lengths = {f"s{i}": i % 13 for i in range(531)}
    batches = BatchesOfLikeLength(lengths, 32, seed=3)
    first = list(batches)
    assert len(first) == len(batches) == 17
    assert sorted(n for b in first for n in b) == sorted(lengths)
    assert {len(b) for b in first} == {32, 531 % 32}
    assert list(batches) == first
    batches.set_epoch(1)
    second = list(batches)
    assert [set(b) for b in second] != [set(b) for b in first]
    assert sorted(n for b in second for n in b) == sorted(lengths)


def test_batches_are_alike_in_length_and_come_in_any_order():
    lengths = {f"s{i}": i % 13 for i in range(512)}
    batches = list(BatchesOfLikeLength(lengths, 32, seed=3))
    spread = [
        max(map(lengths.get, b)) - min(map(lengths.get, b)) for b in batches
    ]
    assert max(spread) <= 3  # of 12 in a random batch
    longest = [max(map(lengths.get, b)) for b in batches[:8]]
    assert longest != sorted(longest) and longest != sorted(longest)[::-1]


def test_caveats():
    samples = samples_of(ROWS, FOUR, 6, 2)
    by_dialog = {d: tuple(s.target.id for s in samples if s.target.dialog == d)
                 for d in ("d1", "d2")}  # fmt: skip
    one, two = by_dialog["d1"], by_dialog["d2"]
    shared = "validation is of the same dialogues as test, but of other turns"
    assert conversation_caveats(
        [Fold("x", one, two[:2], two[2:])], samples
    ) == [
        "test speakers are heard in the context of training samples",
        shared,
    ]
    assert conversation_caveats(
        [Fold("x", one[:2], two, one[2:])], samples
    ) == ["test dialogues occur in training"]
