"""Numbers as the paper prints them (Tables 2 to 7)."""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("paper.csv")
_SCORES = ("wa", "ua", "wf1", "macro_f1")
_CONVERSATION = "conversation"


@dataclass(frozen=True)
class PaperRow:
    """One experiment of the paper, in the names of this collection.

    ``scores`` are ``wa, ua, wf1, macro_f1`` in percent, only those that are
    printed; ``model`` is ``emotion2vec`` but for conversations.

    >>> paper_row("EmoDB", "random_kfold").scores["wa"]
    84.34
    """

    table: int
    corpus: str
    task: str  # emotion, song, sentiment or conversation
    protocol: str
    n_folds: int
    scores: dict[str, float]
    model: str


@lru_cache
def _all_rows() -> tuple[PaperRow, ...]:
    with open(_FILE, newline="", encoding="utf-8") as file:
        return tuple(
            PaperRow(
                int(row["table"]),
                row["corpus"],
                row["task"],
                row["protocol"],
                int(row["n_folds"]),
                {name: float(row[name]) for name in _SCORES if row[name]},
                row["model"],
            )
            for row in csv.DictReader(file)
        )


def paper_rows() -> tuple[PaperRow, ...]:
    """emotion2vec on single utterances (Tables 2 to 5 and 7), in order.

    >>> len(paper_rows())
    19
    """
    return tuple(row for row in _all_rows() if row.task != _CONVERSATION)


def conversation_rows() -> tuple[PaperRow, ...]:
    """Everybody's emotion prediction in conversation (Table 6), in order.

    >>> conversation_rows()[0].model, conversation_rows()[0].scores["ua"]
    ('Noroozi et al. (2017)', 56.78)
    """
    return tuple(row for row in _all_rows() if row.task == _CONVERSATION)


def paper_row(corpus: str, protocol: str) -> PaperRow | None:
    """emotion2vec's experiment on a corpus under a protocol.

    >>> paper_row("EmoDB", "leave_one_speaker_out") is None
    True
    """
    for row in _all_rows():
        if row.model == "emotion2vec" and (row.corpus, row.protocol) == (
            corpus,
            protocol,
        ):
            return row
    return None
