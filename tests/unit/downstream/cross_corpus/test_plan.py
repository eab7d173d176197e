"""Nobody who is tested trains, in any cell; classes are shared by all."""

import pytest
from unit.downstream.cross_corpus.drawn import CLASSES, corpus

from speechbrain_e2v.downstream.cross_corpus.plan import (
    OTHERS,
    domains,
    plan_cells,
)


def ids_of(*corpora):
    return {
        c.name: {(c.name, n): n for n in next(iter(c.classes.values()))}
        for c in corpora
    }


@pytest.fixture(scope="module")
def found():
    corpora = [corpus(name) for name in "ABC"]
    return domains(corpora, ids_of(*corpora))[0]


def test_no_speaker_of_the_test_is_in_another_part(found):
    speaker = {u.id: u.spk for d in found for u in d.utterances}
    cells = plan_cells(found, [1, 4], 4, seed=1)
    assert len(cells) == 3 + 6 * 3 + 3
    for cell in cells:
        tested = [name for fold in cell.folds for name in fold.test]
        (target,) = [d for d in found if d.name == cell.test]
        assert sorted(tested) == sorted(u.id for u in target.utterances)
        for fold in cell.folds:
            train, valid, test = (
                {speaker[n] for n in part}
                for part in (fold.train, fold.valid, fold.test)
            )
            assert not train & test and not valid & test
            assert not train & valid
            assert train and valid


def test_shots_are_so_many_a_class_and_nested(found):
    speaker = {u.id: u for d in found for u in d.utterances}
    cells = plan_cells(found, [1, 4, 1000], 4, seed=1)
    by_shots = {c.shots: c for c in cells if (c.train, c.test) == ("A", "B")}
    for number in range(4):
        own = {
            k: [n for n in c.folds[min(number, len(c.folds) - 1)].train
                if n.startswith("B/")]
            for k, c in by_shots.items()
        }  # fmt: skip
        assert own[0] == []
        assert set(own[1]) < set(own[4]) < set(own[1000])
        for k in (1, 4):
            found_classes = [speaker[n].emo for n in own[k]]
            assert sorted(found_classes) == sorted(CLASSES * k)
        tested = {speaker[n].spk for n in by_shots[1].folds[number].test}
        rest = {
            u.id
            for u in speaker.values()
            if u.id.startswith("B/") and u.spk not in tested
        }
        assert set(own[1000]) == rest


def test_all_others_train_for_each(found):
    cells = [c for c in plan_cells(found, [], 3, 1) if c.train == OTHERS]
    assert [c.test for c in cells] == ["A", "B", "C"]
    (fold,) = cells[0].folds
    used = {name[0] for name in (*fold.train, *fold.valid)}
    assert used == {"B", "C"}
    two = plan_cells(found[:2], [], 3, 1)
    assert not [c for c in two if c.train == OTHERS]


def test_only_shared_classes_stay_and_it_is_said():
    first, second = corpus("A"), corpus("B", classes=("sad", "angry", "calm"))
    found, classes = domains([first, second], ids_of(first, second))
    assert classes == ["angry", "sad"]
    assert {u.emo for d in found for u in d.utterances} == {"angry", "sad"}
    assert "30 of 90 utterances of B are of classes" in found[1].marks[0]
    assert len(found[1].listed) == 90


def test_corpora_that_share_one_class_are_refused():
    first, second = corpus("A"), corpus("B", classes=("sad", "calm"))
    with pytest.raises(ValueError, match="share 1 classes") as raised:
        domains([first, second], ids_of(first, second))
    assert "B: calm, sad" in str(raised.value)


def test_two_speakers_are_too_few():
    first, second = corpus("A", speakers=2), corpus("B")
    with pytest.raises(ValueError, match="A: whole speakers train"):
        domains([first, second], ids_of(first, second))
