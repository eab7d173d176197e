"""Dialogues, their turns, and what is predicted from them.

A turn is a longest run of utterances of one speaker. A sample is a turn and
the turns before it: its emotion is to be predicted from them alone (emotion2vec
section 5.4; Shi, Li and Toda 2023, sections 2.1 and 3.1). Utterances of every
label, and without one, are context; only the turn that is predicted needs one
of the classes.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby

from speechbrain_e2v.corpora.utterance import Utterance

TARGETS = ("first", "last", "majority")
# Shi, Li and Toda (2023), section 3.1; excited counts as happy.
PUBLISHED = {"neutral": 1254, "happy": 1166, "angry": 929, "sad": 694}


@dataclass(frozen=True)
class Sample:
    """A turn to predict, and the utterances it is predicted from.

    Arguments
    ---------
    target : Utterance
        The utterance whose ``emo`` stands for the turn; its ``id`` names the
        sample, its ``spk`` is the speaker.
    context : tuple of tuple of Utterance
        The turns before it, in time order.

    Example
    -------
    >>> a, b = (Utterance(n, "x.wav", spk=n, dialog="d") for n in "ab")
    >>> Sample(a, ((b,),)).interlocutor
    'b'
    """

    target: Utterance
    context: tuple

    @property
    def interlocutor(self):
        """Who else spoke last before the turn; ``None`` without context."""
        for turn in reversed(self.context):
            if turn[0].spk != self.target.spk:
                return turn[0].spk
        return None


def dialogues(utterances):
    """Utterances by dialogue, in time order.

    Arguments
    ---------
    utterances : iterable of Utterance
        Each with ``dialog``, ``spk`` and a time, see :func:`time_of`.

    Returns
    -------
    dict of str to list of Utterance
        In order of name.

    Raises
    ------
    ValueError
        Naming an utterance that has no dialogue, speaker or time.

    Example
    -------
    >>> rows = [Utterance(n, "x.wav", spk="s", dialog="d", start=t, stop=t)
    ...         for n, t in (("a", 2.0), ("b", 1.0))]
    >>> [u.id for u in dialogues(rows)["d"]]
    ['b', 'a']
    """
    found = {}
    for utterance in utterances:
        for field in ("dialog", "spk"):
            if not getattr(utterance, field):
                raise ValueError(
                    f"{utterance.id} ({utterance.wav}) has no {field}, so it "
                    "has no place in a conversation; leave it out of the "
                    "manifest or complete its row"
                )
        found.setdefault(utterance.dialog, []).append(utterance)
    return {
        name: sorted(found[name], key=lambda u: (*time_of(u), u.id))
        for name in sorted(found)
    }


def time_of(utterance):
    """When an utterance was said in its dialogue.

    Arguments
    ---------
    utterance : Utterance
        With ``turn_start`` and ``turn_end`` (s) in ``extra``, where its audio
        is a file of its own; else ``start`` and ``stop``; else with
        ``position`` in ``extra``, its number in the dialogue.

    Returns
    -------
    tuple of float
        Begin and end, or the number twice.

    Raises
    ------
    ValueError
        When it has none of these, or they are no numbers.

    Example
    -------
    >>> time_of(Utterance("a", "a.wav", extra={"position": 7}))
    (7, 7)
    """
    extra = utterance.extra
    for times in (
        (extra.get("turn_start"), extra.get("turn_end")),
        (utterance.start, utterance.stop),
        (extra.get("position"), extra.get("position")),
    ):
        if None not in times:
            if not all(math.isfinite(time) for time in times):
                raise ValueError(f"{_where(utterance)}: times {times}")
            return times
    raise ValueError(
        f"{_where(utterance)} has no time: start and stop, turn_start and "
        "turn_end, or position is needed to put a dialogue in order"
    )


def turns_of(dialogue):
    """Longest runs of utterances of one speaker.

    Arguments
    ---------
    dialogue : sequence of Utterance
        In time order.

    Returns
    -------
    list of tuple of Utterance

    Example
    -------
    >>> rows = [Utterance(str(i), "x.wav", spk=s) for i, s in enumerate("AAB")]
    >>> [len(turn) for turn in turns_of(rows)]
    [2, 1]
    """
    return [tuple(run) for _, run in groupby(dialogue, key=lambda u: u.spk)]


def samples_of(
    utterances,
    classes,
    context_turns=6,
    min_context_turns=6,
    target_utterance="first",
):
    """Every turn with a class and enough turns before it.

    Arguments
    ---------
    utterances : iterable of Utterance
        A corpus with utterances of every label.
    classes : sequence of str
        Classes that count; ``emo`` may be something else.
    context_turns : int
        Turns before it that are seen.
    min_context_turns : int
        A turn with fewer before it is no sample; at least 1.
    target_utterance : str
        What labels a turn of several utterances: ``first`` (as drawn in Shi
        2023), ``last``, or ``majority``, the most frequent class among them;
        of equally frequent ones the one that comes first.

    Returns
    -------
    list of Sample
        By dialogue and time.

    Raises
    ------
    ValueError
        For options that cannot be, and when there is no sample at all.

    Example
    -------
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


def _target(turn, classes, rule):
    if rule == "majority":
        # A Counter keeps the order of first appearance among equals.
        votes = Counter(u.emo for u in turn if u.emo in classes).most_common(1)
        return replace(turn[0], emo=votes[0][0]) if votes else None
    chosen = turn[0 if rule == "first" else -1]
    return chosen if chosen.emo in classes else None


def _where(utterance):
    return (
        f"dialogue {utterance.dialog}, utterance {utterance.id} "
        f"({utterance.wav})"
    )


def describe(utterances, samples, classes):
    """What the options made of a corpus, for ``results.json``.

    Arguments
    ---------
    utterances : iterable of Utterance
        The corpus.
    samples : sequence of Sample
        What :func:`samples_of` made of it.
    classes : sequence of str
        Class names in order.

    Returns
    -------
    dict
        ``dialogues, utterances, single_utterance_turns,
        multi_utterance_turns, samples, per_class, context_utterances`` (the
        mean, and the most).

    Example
    -------
    >>> rows = [
    ...     Utterance(str(i), "x.wav", "sad", spk="AB"[i % 2], dialog="d",
    ...               start=i, stop=i) for i in range(8)]
    >>> describe(rows, samples_of(rows, ["sad"]), ["sad"])["per_class"]
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
