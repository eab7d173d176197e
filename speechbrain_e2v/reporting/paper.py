"""emotion2vec's numbers as the paper prints them (Tables 2 to 5 and 7)."""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("paper.csv")
_SCORES = ("wa", "ua", "wf1")


@dataclass(frozen=True)
class PaperRow:
    """One experiment of the paper.

    Arguments
    ---------
    table : int
        Where it stands.
    corpus, task, protocol : str
        In the names of this collection; task is ``emotion``, ``song`` or
        ``sentiment``.
    n_folds : int
        Number of folds.
    scores : dict
        ``wa, ua, wf1`` in percent; only those that are printed.

    Example
    -------
    >>> paper_row("EmoDB", "random_kfold").scores["wa"]
    84.34
    """

    table: int
    corpus: str
    task: str
    protocol: str
    n_folds: int
    scores: dict


@lru_cache
def paper_rows():
    """Every experiment, in the paper's order.

    Returns
    -------
    tuple of PaperRow

    Example
    -------
    >>> len(paper_rows())
    19
    """
    with open(_FILE, newline="", encoding="utf-8") as file:
        return tuple(
            PaperRow(
                int(row["table"]),
                row["corpus"],
                row["task"],
                row["protocol"],
                int(row["n_folds"]),
                {name: float(row[name]) for name in _SCORES if row[name]},
            )
            for row in csv.DictReader(file)
        )


def paper_row(corpus, protocol):
    """The paper's experiment on a corpus under a protocol.

    Arguments
    ---------
    corpus, protocol : str
        As in ``results.json``.

    Returns
    -------
    PaperRow or None

    Example
    -------
    >>> paper_row("EmoDB", "leave_one_speaker_out") is None
    True
    """
    for row in paper_rows():
        if (row.corpus, row.protocol) == (corpus, protocol):
            return row
    return None
