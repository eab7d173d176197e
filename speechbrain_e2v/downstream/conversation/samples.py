"""Dialogues, their turns, and what is predicted from them.

A turn is a longest run of utterances of one speaker. A sample is a turn and
the turns before it: its emotion is to be predicted from them alone (emotion2vec
section 5.4; Shi, Li and Toda 2023, sections 2.1 and 3.1). Utterances of every
label, and without one, are context; only the turn that is predicted needs one
of the classes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.corpora.utterance import Utterance

TARGETS = ("first", "last", "majority")


@dataclass(frozen=True)
class Sample:
    """A turn to predict, and the turns before it, in time order.

    The target's ``emo`` stands for the turn; its ``id`` names the sample.

    >>> a, b = (Utterance(n, "x.wav", spk=n, dialog="d") for n in "ab")
    >>> Sample(a, ((b,),)).interlocutor
    'b'
    """

    target: Utterance
    context: tuple[tuple[Utterance, ...], ...]

    @property
    def interlocutor(self) -> str | None:
        """Who else spoke last before the turn; ``None`` without context."""
        for turn in reversed(self.context):
            if turn[0].spk != self.target.spk:
                return turn[0].spk
        return None


def dialogues(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Utterances by dialogue, in time order.

    Raises ValueError naming one that has no dialogue, speaker or time.

    >>> rows = [Utterance(n, "x.wav", spk="s", dialog="d", start=t, stop=t)
    ...         for n, t in (("a", 2.0), ("b", 1.0))]
    >>> [u.id for u in dialogues(rows)["d"]]
    ['b', 'a']
    """
    found: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        for field in ("dialog", "spk"):
            if not getattr(utterance, field):
                raise ValueError(
                    f"{utterance.id} ({utterance.wav}) has no {field}, so it "
                    "has no place in a conversation; leave it out of the "
                    "manifest or complete its row"
                )
        found.setdefault(str(utterance.dialog), []).append(utterance)
    return {
        name: sorted(found[name], key=lambda u: (*time_of(u), u.id))
        for name in sorted(found)
    }


def time_of(utterance: Utterance) -> tuple[float, float]:
    """When it was said in its dialogue: begin and end in seconds.

    ``turn_start`` and ``turn_end`` in ``extra``, where its audio is a file of
    its own; else ``start`` and ``stop``; else ``position`` in ``extra``, its
    number in the dialogue, twice. Raises ValueError without any of these.

    >>> time_of(Utterance("a", "a.wav", extra={"position": 7}))
    (7, 7)
    """
    extra = utterance.extra
    for times in (
        (extra.get("turn_start"), extra.get("turn_end")),
        (utterance.start, utterance.stop),
        (extra.get("position"), extra.get("position")),
    ):
        begin, end = times
        if begin is not None and end is not None:
            if not (math.isfinite(begin) and math.isfinite(end)):
                raise ValueError(f"{_where(utterance)}: times {times}")
            return begin, end
    raise ValueError(
        f"{_where(utterance)} has no time: start and stop, turn_start and "
        "turn_end, or position is needed to put a dialogue in order"
    )


def turns_of(dialogue: Iterable[Utterance]) -> list[tuple[Utterance, ...]]:
    """Longest runs of utterances of one speaker, given in time order.

    >>> rows = [Utterance(str(i), "x.wav", spk=s) for i, s in enumerate("AAB")]
    >>> [len(turn) for turn in turns_of(rows)]
    [2, 1]
    """
    return [tuple(run) for _, run in groupby(dialogue, key=lambda u: u.spk)]


def samples_of(
    utterances: Iterable[Utterance],
    classes: Sequence[str],
    context_turns: int = 6,
    min_context_turns: int = 6,
    target_utterance: str = "first",
) -> list[Sample]:
    """Every turn with a class and enough turns before it.

    ``context_turns`` are seen; a turn with fewer than ``min_context_turns``
    before it is no sample. A turn of several utterances is labelled by the
    ``first`` (as drawn in Shi 2023), the ``last``, or the ``majority``: the
    most frequent class among them, of equally frequent ones the first. Raises
    ValueError for options that cannot be, and when there is no sample at all.

    >>> rows = [
    ...     Utterance(str(i), "x.wav", "sad", spk="AB"[i % 2], dialog="d",
    ...               start=i, stop=i) for i in range(8)]
    >>> [s.target.id for s in samples_of(rows, ["sad"])]
    ['6', '7']
    """
    if not 1 <= min_context_turns <= context_turns:
        raise ValueError(
            f"context_turns is {context_turns} and min_context_turns is "
            f"{min_context_turns}; 1 <= min_context_turns <= context_turns"
        )
    if target_utterance not in TARGETS:
        raise ValueError(
            f"target_utterance is {target_utterance!r}; there are "
            f"{', '.join(TARGETS)}"
        )
    samples, longest = [], 0
    for dialogue in dialogues(utterances).values():
        turns = turns_of(dialogue)
        longest = max(longest, len(turns))
        for number in range(min_context_turns, len(turns)):
            target = _target(turns[number], classes, target_utterance)
            if target is not None:
                context = turns[max(0, number - context_turns) : number]
                samples.append(Sample(target, tuple(context)))
    if not samples:
        raise ValueError(
            f"no turn of class {', '.join(classes)} has {min_context_turns} "
            f"turns before it; the longest dialogue has {longest} turns; "
            "lower min_context_turns"
        )
    return samples


def _target(
    turn: Sequence[Utterance], classes: Sequence[str], rule: str
) -> Utterance | None:
    if rule == "majority":
        # A Counter keeps the order of first appearance among equals.
        votes = Counter(u.emo for u in turn if u.emo in classes).most_common(1)
        return replace(turn[0], emo=votes[0][0]) if votes else None
    chosen = turn[0 if rule == "first" else -1]
    return chosen if chosen.emo in classes else None


def _where(utterance: Utterance) -> str:
    return (
        f"dialogue {utterance.dialog}, utterance {utterance.id} "
        f"({utterance.wav})"
    )


def sample_counts(
    utterances: Iterable[Utterance],
    samples: Sequence[Sample],
    classes: Sequence[str],
) -> dict:
    """What the options made of a corpus, for ``results.json``.

    >>> rows = [
    ...     Utterance(str(i), "x.wav", "sad", spk="AB"[i % 2], dialog="d",
    ...               start=i, stop=i) for i in range(8)]
    >>> sample_counts(rows, samples_of(rows, ["sad"]), ["sad"])["per_class"]
    {'sad': 2}
    """
    spoken = dialogues(utterances)
    sizes = [len(turn) for d in spoken.values() for turn in turns_of(d)]
    seen = [sum(map(len, sample.context)) for sample in samples]
    found = Counter(sample.target.emo for sample in samples)
    return {
        "dialogues": len(spoken),
        "utterances": sum(sizes),
        "single_utterance_turns": sum(size == 1 for size in sizes),
        "multi_utterance_turns": sum(size > 1 for size in sizes),
        "samples": len(samples),
        "per_class": {name: found[name] for name in classes},
        "context_utterances": {
            "mean": round(sum(seen) / len(seen), 2),
            "most": max(seen),
        },
    }


def conversation_caveats(
    folds: Sequence[Fold], samples: Iterable[Sample]
) -> list[str]:
    """Which dialogues and voices the parts of the folds share.

    A sample's context holds the voice of somebody who is the target of other
    samples, so that folds by speaker are not yet folds by voice.

    >>> rows = {n: Utterance(n, "x.wav", spk=n, dialog=n) for n in "abc"}
    >>> samples = [Sample(rows[n], ((rows["a"],),)) for n in "abc"]
    >>> conversation_caveats([Fold("x", ("b",), ("c",), ("a",))], samples)
    ['test speakers are heard in the context of training samples']
    """
    sample = {s.target.id: s for s in samples}

    def dialogs(part):
        return {sample[name].target.dialog for name in part}

    def heard(part):
        return {turn[0].spk for name in part for turn in sample[name].context}

    def targets(part):
        return {sample[name].target.spk for name in part}

    caveats = []
    if any(dialogs(f.test) & dialogs(f.train) for f in folds):
        caveats.append("test dialogues occur in training")
    elif any(targets(f.test) & heard(f.train) for f in folds):
        caveats.append(
            "test speakers are heard in the context of training samples"
        )
    if any(dialogs(f.test) & dialogs(f.valid) for f in folds):
        caveats.append(
            "validation is of the same dialogues as test, but of other turns"
        )
    return caveats
