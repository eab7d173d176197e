"""Dialogues in order of time, their turns, and what becomes a sample."""

import pytest

from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.conversation.samples import (
    dialogues,
    sample_counts,
    samples_of,
    turns_of,
)

FOUR = ("angry", "happy", "neutral", "sad")


def spoken(text, dialog="d", emotions=None):
    """``"A A B"``: two utterances of A, one of B, a second each."""
    speakers = text.split()
    emotions = emotions or ["sad"] * len(speakers)
    return [
        Utterance(
            f"{dialog}_{i}", f"{dialog}_{i}.wav", emo, spk=speaker,
            dialog=dialog, extra={"turn_start": float(i), "turn_end": i + 0.9},
        )
        for i, (speaker, emo) in enumerate(
            zip(speakers, emotions, strict=True)
        )
    ]  # fmt: skip


def names(turns):
    return [[u.id for u in turn] for turn in turns]


def test_order_is_that_of_time_not_of_the_label_file():
    """IEMOCAP's files list all turns of F, then all of M."""
    rows = spoken("F M M F M")
    by_speaker = sorted(rows, key=lambda u: u.spk)
    assert dialogues(by_speaker)["d"] == rows
    assert names(turns_of(rows)) == [["d_0"], ["d_1", "d_2"], ["d_3"], ["d_4"]]


def test_equal_starts_are_ordered_by_end_then_name():
    rows = [
        Utterance(name, "x.wav", spk="A", dialog="d", start=1.0, stop=stop)
        for name, stop in (("c", 2.0), ("b", 3.0), ("a", 3.0))
    ]
    assert [u.id for u in dialogues(rows)["d"]] == ["c", "a", "b"]


def test_positions_are_numbers_not_texts():
    rows = [
        Utterance(f"u{i}", "x.wav", spk="A", dialog="d", extra={"position": i})
        for i in (10, 9)
    ]
    assert [u.id for u in dialogues(rows)["d"]] == ["u9", "u10"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dialog": None}, r"^u1 \(u1.wav\) has no dialog"),
        ({"spk": ""}, r"^u1 \(u1.wav\) has no spk"),
        ({"start": None}, r"dialogue d, utterance u1 \(u1.wav\) has no time"),
        ({"stop": float("nan")}, "dialogue d, utterance u1 .*nan"),
    ],
)
def test_incomplete_rows_are_named(change, message):
    row = {"spk": "A", "dialog": "d", "start": 0.0, "stop": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        dialogues([Utterance("u1", "u1.wav", **row)])


def test_windows_of_six_turns():
    rows = spoken("A B A A B A B A B")
    samples = samples_of(rows, FOUR)
    assert [s.target.id for s in samples] == ["d_7", "d_8"]
    assert names(samples[0].context) == [
        ["d_0"], ["d_1"], ["d_2", "d_3"], ["d_4"], ["d_5"], ["d_6"]
    ]  # fmt: skip
    assert names(samples[1].context)[0] == ["d_1"]
    assert samples[0].interlocutor == "B"


def test_fewer_turns_at_the_beginning():
    rows = spoken("A B A B")
    samples = samples_of(rows, FOUR, context_turns=2, min_context_turns=1)
    assert [len(s.context) for s in samples] == [1, 2, 2]


def test_the_context_never_reaches_the_turn_itself():
    rows = spoken("A B B A A B A B B B A B A A B")
    order = {u.id: i for i, u in enumerate(rows)}
    samples = samples_of(rows, FOUR, min_context_turns=1)
    assert len(samples) == 9
    for sample in samples:
        heard = [order[u.id] for turn in sample.context for u in turn]
        first = order[sample.target.id]
        assert heard == list(range(first - len(heard), first))


def test_others_are_context_but_no_target():
    emotions = ["sad", None, None, "angry", None, "sad", "happy", None, "sad"]
    rows = spoken("A B A B A B A B A", emotions=emotions)
    samples = samples_of(rows, FOUR)
    assert [s.target.id for s in samples] == ["d_6", "d_8"]
    assert names(samples[0].context)[1] == ["d_1"]


@pytest.mark.parametrize(
    ("rule", "emotions", "expected"),
    [
        ("first", ("happy", "sad", "sad"), "happy"),
        ("last", ("happy", "sad", "angry"), "angry"),
        ("majority", ("happy", "sad", "sad"), "sad"),
        ("majority", ("happy", None, None), "happy"),
        ("majority", ("sad", "happy", None), "sad"),
        ("first", (None, "sad", "sad"), None),
        ("last", ("sad", "sad", None), None),
        ("majority", (None, None, None), None),
    ],
)
def test_what_labels_a_turn_of_several(rule, emotions, expected):
    rows = spoken("A B B B A", emotions=[None, *emotions, "sad"])
    samples = samples_of(rows, FOUR, 6, 1, rule)
    found = {s.target.id: s.target.emo for s in samples}
    named = {"first": "d_1", "last": "d_3", "majority": "d_1"}[rule]
    assert found.pop("d_4") == "sad"
    assert found == ({} if expected is None else {named: expected})


def test_interlocutor_among_many_is_who_spoke_last():
    rows = spoken("A B C A C B A")
    sample = samples_of(rows, FOUR)[0]
    assert (sample.target.spk, sample.interlocutor) == ("A", "B")


def test_dialogues_are_apart():
    rows = spoken("A B A B", "d1") + spoken("A B A B A B A", "d2")
    samples = samples_of(rows, FOUR)
    assert [s.target.id for s in samples] == ["d2_6"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_context_turns": 7}, "context_turns is 6 and min_context_turns"),
        ({"min_context_turns": 0}, "min_context_turns is 0"),
        ({"target_utterance": "middle"}, "'middle'; there are first, last"),
        ({}, "the longest dialogue has 2 turns; lower min_context_turns"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        samples_of(spoken("A B"), FOUR, **options)


def test_description():
    emotions = ["sad"] * 6 + [None, "happy", "sad"]
    rows = spoken("A B A A B A B A B", emotions=emotions)
    samples = samples_of(rows, FOUR)
    assert sample_counts(rows, samples, FOUR) == {
        "dialogues": 1,
        "utterances": 9,
        "single_utterance_turns": 7,
        "multi_utterance_turns": 1,
        "samples": 2,
        "per_class": {"angry": 0, "happy": 1, "neutral": 0, "sad": 1},
        "context_utterances": {"mean": 7.0, "most": 7},
    }


def test_folds_do_not_leak():
    """Nobody hears a test speaker in training: whole sessions are apart."""
    rows = []
    for number in range(1, 6):
        s = f"Ses0{number}"
        spoken_here = spoken(" ".join([f"{s}_F", f"{s}_M"] * 6), f"{s}_impro")
        rows += [
            Utterance(**{**vars(u), "session": s, "start": i, "stop": i})
            for i, u in enumerate(spoken_here)
        ]
    samples = {s.target.id: s for s in samples_of(rows, FOUR)}
    targets = [s.target for s in samples.values()]
    folds = make_folds(
        "leave_one_speaker_out_partner_validates", targets, 10, 0
    )
    assert len(folds) == 10

    def heard(part):
        return {u.spk for n in part for t in samples[n].context for u in t}

    for fold in folds:
        tested = {samples[name].target.spk for name in fold.test}
        chosen = {samples[name].target.spk for name in fold.valid}
        assert len(tested) == len(chosen) == 1 and tested != chosen
        assert len(heard(fold.train)) == 8
        assert not heard(fold.train) & (tested | chosen)
