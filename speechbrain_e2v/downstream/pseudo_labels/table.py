"""The table of a round, as `recipes/Custom` reads it: labels of both kinds.

It has the parts train (labels of people and of teachers), valid and test
(labels of people alone), so that every yaml of that recipe with the protocol
``official`` trains on a round and is scored on the same test part.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import NINE
from speechbrain_e2v.files.atomic import replace_text

TABLE = "labels.csv"
_COLUMNS = ("path", "label", "speaker", "start", "end", "split", "language")


def write_table(
    folder: str | Path, parts: Mapping[str, Sequence[Utterance]]
) -> Path:
    """Write ``labels.csv`` and ``classes.txt``, the nine in published order.

    Raises ValueError for a piece of audio that is in two parts, or twice with
    different labels.
    """
    rows: dict[tuple, list] = {}
    for part, utterances in parts.items():
        for u in utterances:
            place = (u.wav, u.start, u.stop)
            row = [u.wav, u.emo, u.spk, _text(u.start), _text(u.stop), part,
                   u.lang]  # fmt: skip
            if rows.setdefault(place, row) != row:
                raise ValueError(
                    f"{u.id} ({u.wav}) is in {rows[place][5]} as "
                    f"{rows[place][1]} and in {part} as {u.emo}; train, valid, "
                    "test and pool must not share audio"
                )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows[place] for place in sorted(rows, key=str))
    folder = Path(folder)
    replace_text(folder / "classes.txt", "\n".join(NINE) + "\n")
    return replace_text(folder / TABLE, text.getvalue())


def _text(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.6f}"
