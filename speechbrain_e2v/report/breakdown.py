"""Scores apart by what a manifest says of utterances: gender, age, language."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.metrics import SCORES, all_scores
from speechbrain_e2v.report.floors import predictions_of
from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.predictions import Predictions
from speechbrain_e2v.report.rows import ResultRow

UNKNOWN = "-"
_ALIASES = {"language": "lang", "speaker": "spk", "emotion": "emo"}
_TEXT = {
    field.name for field in fields(Utterance) if field.type in (str, str | None)
}


def breakdown(rows: Iterable[ResultRow], column: str) -> Table:
    """WA, UA, weighted and macro F1 of every value of a column.

    ``column`` is one of a manifest (``gender``, ``language``, ``session``,
    ``split`` ...) or of what a corpus keeps besides (``age``). Utterances
    without a value stand under "-"; several seeds are averaged. UA is over
    the classes that a value has.

    Raises ValueError where no run has the column; rows without predictions or
    manifest have no lines.
    """
    lines, named = [], set()
    for row in rows:
        manifest = row.folder / "manifest" / "all.json"
        found = None if row.scales else predictions_of(row)
        if found is None or not manifest.is_file():
            continue
        utterances = {u.id: u for u in read_manifest(manifest)}
        values = {n: _value(u, column) for n, u in utterances.items()}
        for utterance in utterances.values():
            named |= _columns(utterance)
        if set(values.values()) > {UNKNOWN} or column in named:
            lines += _lines(row, found, values)
    if not lines:
        known = ", ".join(sorted(named)) or "none, since no run has a manifest"
        raise ValueError(f"no run has a column {column}; there are {known}")
    header = ("corpus", "protocol", "features", column, "utterances",
              "speakers", "classes", *(n.upper() for n in SCORES))  # fmt: skip
    return Table(header, tuple(lines))


def _columns(utterance: Utterance) -> set[str]:
    given = {name for name in _TEXT if getattr(utterance, name)}
    aliases = {alias for alias, name in _ALIASES.items() if name in given}
    return (given - {"id", "wav"}) | aliases | set(utterance.extra)


def _value(utterance: Utterance, column: str) -> str:
    name = _ALIASES.get(column, column)
    if name in _TEXT:
        value = getattr(utterance, name)
    else:
        value = utterance.extra.get(column)
    return UNKNOWN if value in (None, "") else str(value)


def _lines(
    row: ResultRow, found: Predictions, values: dict[str, str]
) -> list[tuple[str, ...]]:
    """One line a value, in order of name."""
    pairs = [found["reference"], found["predicted"]]
    _, codes = np.unique(pairs, return_inverse=True)
    reference, predicted = codes.reshape(2, -1)
    places = defaultdict(list)
    for place, name in enumerate(found["id"]):
        places[values.get(name, UNKNOWN)].append(place)
    lines = []
    for value, some in sorted(places.items()):
        of_value = {key: np.array(found[key])[some] for key in found}
        seeds = [
            all_scores(reference[some][own], predicted[some][own])
            for own in (of_value["seed"] == s for s in set(of_value["seed"]))
        ]
        means = (np.mean([scores[name] for scores in seeds]) for name in SCORES)
        counts = (
            len(set(of_value[key])) for key in ("id", "speaker", "reference")
        )
        lines.append(
            (row.corpus, row.protocol, row.features, value)
            + tuple(map(str, counts))
            + tuple(f"{mean:.2f}" for mean in means)
        )
    return lines
