"""What a table needs of the results.json of a regression."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from speechbrain_e2v.downstream.results import FORMAT
from speechbrain_e2v.report.rows import baselines_first, features_name


@dataclass(frozen=True)
class RatingRow:
    """One regression.

    Arguments
    ---------
    corpus, protocol : str
        What was tested, and how.
    features, regressor : str
        Short names.
    scales : dict
        Lowest and highest value of each rating.
    pooled, fold_spread : dict
        Scores as in ``results.json``.
    interval95 : dict or None
        By speaker.
    marks : tuple of str
        What a reader has to know.
    folds, seeds, utterances : int
        How many.
    folder : Path
        Where ``results.json`` lies.
    """

    corpus: str
    protocol: str
    features: str
    regressor: str
    scales: dict
    pooled: dict
    fold_spread: dict
    interval95: dict | None
    marks: tuple
    folds: int
    seeds: int
    utterances: int
    folder: Path


def of_regressions(paths):
    """Tell results of regressions from others.

    Arguments
    ---------
    paths : iterable of Path
        ``results.json`` files.

    Returns
    -------
    tuple of list
        The others, and those of regressions.

    Raises
    ------
    ValueError
        Naming a file that is no JSON.

    Example
    -------
    >>> path = getfixture("tmp_path") / "results.json"
    >>> _ = path.write_text('{"regressor": {}}')
    >>> [len(found) for found in of_regressions([path])]
    [0, 1]
    """
    others, regressions = [], []
    for path in map(Path, paths):
        try:
            is_one = "regressor" in json.loads(path.read_text("utf-8"))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no results.json of this version ({error!r}); run "
                "the recipe again"
            ) from error
        (regressions if is_one else others).append(path)
    return others, regressions


def read_rating_rows(paths):
    """Rows of regressions; the same name twice gets its folder's.

    Arguments
    ---------
    paths : iterable of Path
        ``results.json`` files.

    Returns
    -------
    list of RatingRow
        By corpus and protocol, baselines first.

    Raises
    ------
    ValueError
        Naming a file that is no results.json of this version.
    """
    rows = [_read(Path(path)) for path in paths]
    names = [_name(row) for row in rows]
    rows = [
        replace(row, features=f"{row.features} ({row.folder.name})")
        if names.count(name) > 1
        else row
        for row, name in zip(rows, names, strict=True)
    ]
    return sorted(
        rows,
        key=lambda row: (
            row.corpus.lower(),
            row.protocol,
            baselines_first(row.features),
            str(row.folder),
        ),
    )


def _name(row):
    return row.corpus, row.protocol, row.features, row.regressor


def _read(path):
    try:
        results = json.loads(path.read_text("utf-8"))
        if results["format"] != FORMAT:
            raise ValueError(f"format {results['format']}, not {FORMAT}")
        protocol = results["protocol"]
        return RatingRow(
            results["corpus"],
            protocol["name"],
            features_name(results["upstream"]),
            _regressor_name(results["regressor"]),
            results["scales"],
            results["pooled"],
            results["fold_spread"],
            results["interval95"],
            tuple(protocol["marks"]),
            protocol["n_folds"],
            len(results["seeds"]),
            results["n_tested"],
            path.parent,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no results.json of this version ({error!r}); run the "
            "recipe again"
        ) from error


def _regressor_name(description):
    """Kind, and what was minimised where there was a choice."""
    name = str(description["kind"]).partition(" on ")[0]
    head = (description.get("head") or {}).get("name")
    details = [x for x in (head, description.get("objective")) if x]
    return f"{name} ({', '.join(details)})" if details else name
