"""Numbers as the paper prints them (Tables 2 to 11), and its page on RESD.

``paper.csv`` has one printed number a line, misprints included; what is known
of one stands in its ``note``.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("paper.csv")
_SCORES = ("wa", "ua", "wf1", "macro_f1")
_MILLIONS = {
    "upstream_millions": "upstream",
    "downstream_millions": "downstream",
}
_CONVERSATION = "conversation"
_OF_A_CORPUS = ("2", "3", "4", "5", "6", "7")
RESD_PAGE = "RESD page"
"""``table`` of what a page of results says of emotion2vec+ on RESD."""


@dataclass(frozen=True)
class PaperRow:
    """One experiment of the paper, in the names of this collection.

    ``model`` is the paper's word, ``upstream`` ours; ``setting`` what else
    tells experiments of a table apart. ``features`` is the layer (``weighted``
    is SUPERB's sum of all), ``source`` whose number it is; either is empty
    where it is not said. ``scores`` are ``wa, ua, wf1, macro_f1`` in percent
    and ``millions`` the parameters of ``upstream`` and ``downstream``, only
    those that are printed. ``commands``, of the page on RESD, are run in the
    recipe's folder: a probe, and the published head.

    >>> paper_row("EmoDB", "random_kfold").scores["wa"]
    84.34
    """

    table: str
    corpus: str
    task: str  # emotion, song, sentiment, conversation or ablation
    protocol: str  # empty where it is not said
    n_folds: int  # 0 where it is not said
    model: str
    upstream: str
    features: str
    setting: str
    source: str
    scores: dict[str, float]
    millions: dict[str, float]
    notes: tuple[str, ...]
    commands: tuple[str, ...]


@lru_cache
def all_rows() -> tuple[PaperRow, ...]:
    """Every experiment of every table, in order.

    >>> [row.model for row in all_rows() if row.table == RESD_PAGE]
    ['emotion2vec+ base', 'emotion2vec+ large', 'emotion2vec']
    """
    about = ("table", "corpus", "task", "protocol", "n_folds", "model",
             "upstream", "features", "setting", "source")  # fmt: skip
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with open(_FILE, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            key = tuple(line[name] for name in about)
            groups.setdefault(key, []).append(line)
    return tuple(_row(lines) for lines in groups.values())


def _row(lines: list[dict[str, str]]) -> PaperRow:
    first = lines[0]
    values = {line["metric"]: float(line["value"]) for line in lines}
    notes = (note for line in lines for note in line["note"].split("; "))
    return PaperRow(
        table=first["table"],
        corpus=first["corpus"],
        task=first["task"],
        protocol=first["protocol"],
        n_folds=int(first["n_folds"] or 0),
        model=first["model"],
        upstream=first["upstream"],
        features=first["features"],
        setting=first["setting"],
        source=first["source"],
        scores={name: values[name] for name in _SCORES if name in values},
        millions={
            name: values[metric]
            for metric, name in _MILLIONS.items()
            if metric in values
        },
        notes=tuple(dict.fromkeys(filter(None, notes))),
        commands=tuple(filter(None, first["commands"].split("; "))),
    )


def paper_rows() -> tuple[PaperRow, ...]:
    """emotion2vec on single utterances (Tables 2 to 5 and 7), in order.

    >>> len(paper_rows())
    19
    """
    return tuple(
        row
        for row in all_rows()
        if row.table in _OF_A_CORPUS
        and row.model == "emotion2vec"
        and row.task != _CONVERSATION
    )


def conversation_rows() -> tuple[PaperRow, ...]:
    """Everybody's emotion prediction in conversation (Table 6), in order.

    >>> conversation_rows()[0].model, conversation_rows()[0].scores["ua"]
    ('Noroozi et al. (2017)', 56.78)
    """
    return tuple(row for row in all_rows() if row.task == _CONVERSATION)


def paper_row(corpus: str, protocol: str) -> PaperRow | None:
    """emotion2vec's experiment on a corpus under a protocol.

    >>> paper_row("EmoDB", "leave_one_speaker_out") is None
    True
    """
    for row in all_rows():
        if (row.model, row.corpus, row.protocol) == (
            "emotion2vec",
            corpus,
            protocol,
        ) and row.table in _OF_A_CORPUS:
            return row
    return None
