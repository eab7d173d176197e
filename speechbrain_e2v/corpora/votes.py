"""What each annotator said of an utterance: labels, and how many chose them.

Labels are the corpus's classes where it has one of that meaning, and any other
name where it has not. Such votes stay in the manifest; a distribution over the
classes leaves them out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from speechbrain_e2v.corpora.label_tables import clean_label
from speechbrain_e2v.corpora.utterance import Utterance


def tally(rows: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Label to count, of rows (annotator, label), in order of label.

    Whoever names several labels votes once for each of them.

    >>> tally([("E1", "sad"), ("E2", "sad"), ("E2", "angry"), ("E2", "sad")])
    {'angry': 1, 'sad': 2}
    """
    counts = Counter(label for _, label in dict.fromkeys(rows))
    return dict(sorted(counts.items()))


def parse_votes(text: str) -> dict[str, int]:
    """Votes as a cell of a table has them.

    Raises ValueError for a part that is no label with a count.

    >>> parse_votes("sad: 2; angry: 1")
    {'angry': 1, 'sad': 2}
    """
    found: dict[str, int] = {}
    for part in filter(str.strip, text.split(";")):
        name, _, count = part.rpartition(":")
        label = clean_label(name)
        if not label or label in found or not count.strip().isdecimal():
            raise ValueError(
                f"votes are {text!r}; write each label once with its count, "
                "as in 'sad:2;angry:1'"
            )
        found[label] = int(count)
    return dict(sorted(found.items()))


def class_votes(
    votes: Mapping[str, int], classes: Sequence[str]
) -> list[int] | None:
    """Votes for each class; ``None`` where none of them has any.

    >>> class_votes({"sad": 2, "bored": 1}, ["angry", "sad"])
    [0, 2]
    """
    found = [votes.get(name, 0) for name in classes]
    return found if any(found) else None


def votes_or_label(utterance: Utterance, classes: Sequence[str]) -> list[int]:
    """Votes for each class; one for the label where nobody voted for any.

    >>> votes_or_label(Utterance("a", "a.wav", emo="sad"), ["angry", "sad"])
    [0, 1]
    """
    found = class_votes(utterance.votes, classes)
    return found or [int(name == utterance.emo) for name in classes]
