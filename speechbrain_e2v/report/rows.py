"""What a table needs of a results.json, whatever was predicted."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from speechbrain_e2v.downstream.results import (
    FORMAT,
    MEAN_OVER_FOLDS,
    POOLED,
)
from speechbrain_e2v.report.paper import PaperRow, paper_row

_BASELINES = {
    "no features": "no features",
    "statistics of MFCCs": "MFCC statistics",
    "eGeMAPS functionals": "eGeMAPS",
    "encoder at random initialisation": "random encoder",
}


@dataclass(frozen=True)
class ResultRow:
    """One experiment: a classification, or a regression if it has ``scales``.

    Scores and intervals (95 %, speakers drawn again; ``None`` with one
    speaker) are those of ``results.json``, percent but for CCC, r and MAE.
    ``predictor`` is the short name of the classifier or regressor.
    """

    corpus: str
    protocol: str
    features: str
    predictor: str
    trained: bool  # features of an encoder that learned something
    scales: dict[str, tuple[float, float]]
    headline: dict[str, float]  # mean over folds, or pooled: see averaged
    averaged: str
    pooled: dict[str, float]
    fold_spread: dict[str, dict[str, float]]
    interval95: dict[str, tuple[float, float]] | None
    caveats: tuple[str, ...]
    folds: int
    seeds: int
    utterances: int
    folder: Path

    @property
    def paper(self) -> PaperRow | None:
        """The paper's row of this corpus and protocol."""
        return paper_row(self.corpus, self.protocol)

    def difference(self, metric: str) -> float | None:
        """Points above the paper, None where there is nothing to compare.

        Averaged as the literature does: a conversation's scores are pooled,
        others are means over folds.
        """
        if not self.trained or self.paper is None:
            return None
        printed = self.paper.scores.get(metric)
        return None if printed is None else self.headline[metric] - printed


def find_results(paths: Iterable[str | Path]) -> list[Path]:
    """``results.json`` files, given or below the folders given, each once.

    Raises ValueError naming a path with no results.

    >>> folder = getfixture("tmp_path")
    >>> (folder / "results.json").touch()
    >>> len(find_results([folder, folder / "results.json"]))
    1
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        here = [path] if path.is_file() else path.rglob("results.json")
        resolved = {p.resolve() for p in here}
        if not resolved:
            raise ValueError(
                f"{path}: there is no results.json; give the output folder of "
                "a recipe's train.py"
            )
        found |= resolved
    return sorted(found)


def read_rows(paths: Iterable[str | Path]) -> list[ResultRow]:
    """Rows of ``results.json`` files; the same name twice gets its folder's.

    Raises ValueError naming a file that is no results.json of this version.
    """
    rows = [_read(Path(path)) for path in paths]
    names = [_name(row) for row in rows]
    return in_order(
        replace(row, features=f"{row.features} ({row.folder.name})")
        if names.count(name) > 1
        else row
        for row, name in zip(rows, names, strict=True)
    )


def in_order(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """By corpus and protocol, baselines first."""
    return sorted(
        rows,
        key=lambda row: (
            row.corpus.lower(),
            row.protocol,
            baselines_first(row.features),
            str(row.folder),
        ),
    )


def baselines_first(name: str) -> tuple[int, str]:
    """Sort key of the names of features.

    >>> sorted(["a", "random encoder", "MFCC statistics"], key=baselines_first)
    ['MFCC statistics', 'random encoder', 'a']
    """
    order = list(_BASELINES.values())
    return (order.index(name) if name in order else len(order), name)


def features_name(upstream: dict) -> str:
    """A short name of what made the features.

    >>> features_name({"kind": "trained encoder", "source": "x/encoder"})
    'x/encoder'
    """
    if upstream["kind"] == "trained encoder":
        card = upstream.get("card") or {}
        return str(card.get("name") or upstream.get("source") or "encoder")
    return _BASELINES.get(upstream["kind"], upstream["kind"])


def _name(row: ResultRow) -> tuple[str, ...]:
    return row.corpus, row.protocol, row.features, row.predictor


def _read(path: Path) -> ResultRow:
    try:
        results = json.loads(path.read_text("utf-8"))
        if results["format"] != FORMAT:
            raise ValueError(f"format {results['format']}, not {FORMAT}")
        upstream, protocol = results["upstream"], results["protocol"]
        rated = "regressor" in results
        trained = upstream["kind"] == "trained encoder"
        caveats: list[str] = []
        if rated:
            predictor = _regressor_name(results["regressor"])
            utterances = results["n_tested"]
        else:
            predictor = _classifier_name(results["classifier"])
            if trained:
                caveats = _other_probe(
                    results["corpus"], protocol["name"], results["classifier"]
                )
            utterances = sum(results["counts"].values())
        headline = results.get("headline") or _older_headline(results)
        return ResultRow(
            corpus=results["corpus"],
            protocol=protocol["name"],
            features=_column(path.parent) or features_name(upstream),
            predictor=predictor,
            trained=trained,
            scales=results["scales"] if rated else {},
            headline=headline["scores"],
            averaged=headline["is"],
            pooled=results["pooled"],
            fold_spread=results["fold_spread"],
            interval95=results["interval95"],
            caveats=(*protocol["marks"], *caveats),
            folds=protocol["n_folds"],
            seeds=len(results["seeds"]),
            utterances=utterances,
            folder=path.parent,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no results.json of this version ({error!r}); run the "
            "recipe again"
        ) from error


def _older_headline(results: dict) -> dict:
    """Of files from before ``results.json`` said which average it is."""
    if "conversation" in results:
        return {"is": POOLED, "scores": results["pooled"]}
    spread = results["fold_spread"]
    means = {name: values["mean"] for name, values in spread.items()}
    return {"is": MEAN_OVER_FOLDS, "scores": means}


def _column(folder: Path) -> str | None:
    """The name that `e2v reproduce` gave the features, if it did."""
    note = folder / "job.json"
    if not note.is_file():
        return None
    return json.loads(note.read_text("utf-8")).get("features")


def _other_probe(corpus: str, protocol: str, description: dict) -> list[str]:
    """The paper's numbers are of its own probe, on means for sentiment.

    Conversations have no probe; their own caveats name another network.
    """
    name = str(description.get("kind"))
    paper = paper_row(corpus, protocol)
    own = "probe"
    if paper is not None and paper.task == "sentiment":
        own = "probe on utterance means"
    if name == own or name.startswith("conversation network"):
        return []
    return [f"by {_classifier_name(description)}, not by the paper's probe"]


def _classifier_name(description: dict) -> str:
    kind = str(description.get("kind", "classifier"))
    return kind.partition(" on standardised")[0]


def _regressor_name(description: dict) -> str:
    """Kind, and what was minimised where there was a choice."""
    name = str(description["kind"]).partition(" on ")[0]
    head = (description.get("head") or {}).get("name")
    details = [x for x in (head, description.get("objective")) if x]
    return f"{name} ({', '.join(details)})" if details else name
