"""What a table needs of a results.json, whatever was predicted."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from speechbrain_e2v.downstream.results import MEAN_OVER_FOLDS, POOLED
from speechbrain_e2v.report.jobs import read_note
from speechbrain_e2v.report.paper import PaperRow, paper_row
from speechbrain_e2v.report.results_file import (
    Calibration,
    Headline,
    Made,
    Results,
    SpeakerSpread,
    Spread,
    read_results,
)
from speechbrain_e2v.report.verdict import FloorTest

_FEATURES = {
    "statistics of MFCCs": "MFCC statistics",
    "eGeMAPS functionals": "eGeMAPS",
    "encoder at random initialisation": "random encoder",
}
_WITHOUT_FEATURES = {
    "most frequent class of training": "constant",
    "class drawn by its frequency in training": "prior",
}
BASELINES = (*_WITHOUT_FEATURES.values(), *_FEATURES.values())
"""Columns of what hears nothing or has learned nothing, lowest first."""

CONSTANT, PRIOR, MFCC = BASELINES[:3]


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
    fold_spread: dict[str, Spread]
    interval95: dict[str, tuple[float, float]] | None
    caveats: tuple[str, ...]
    folds: int
    seeds: int
    utterances: int
    folder: Path
    computed: bool = False  # of the labels alone, see floors
    recall: dict[str, float] = field(default_factory=dict)  # of each class
    calibration: Calibration | None = None  # of files since 0.1.0
    speaker_spread: SpeakerSpread | None = None
    tests: tuple[FloorTest, ...] = ()  # see floor_tests
    upstream_parameters: int | None = None  # where the run recorded them
    downstream_parameters: int | None = None

    @property
    def paper(self) -> PaperRow | None:
        """The paper's row of this corpus and protocol."""
        return paper_row(self.corpus, self.protocol)

    @property
    def floor(self) -> str | None:
        """Which of the :data:`BASELINES` it is, if any."""
        if self.trained:
            return None
        names = (self.features, self.features.partition(" (")[0])
        return next((name for name in names if name in BASELINES), None)

    def warning(self, score: str) -> str | None:
        """The lowest floor that it is not better than, in words.

        Floors themselves are measured by those that hear nothing.
        """
        floors = BASELINES if self.floor is None else (CONSTANT, PRIOR)
        found = [
            test.verdict
            for floor in floors
            for test in self.tests
            if (test.floor, test.score) == (floor, score)
        ]
        return next((v for v in found if v.startswith("not better")), None)

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

    Raises BadDocument naming file and key of one that cannot be read.
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
    first = name in BASELINES
    return (BASELINES.index(name) if first else len(BASELINES), name)


def features_name(upstream: Made, predictor: Made) -> str:
    """A short name of what made the features, or of what does without."""
    if upstream.kind == "trained encoder":
        name = str((upstream.card or {}).get("name") or upstream.source or "")
        # A path tells others nothing, and is as long as it is private.
        return Path(name).name if name.startswith("/") else name or "encoder"
    if upstream.kind == "no features":
        return _WITHOUT_FEATURES.get(predictor.kind, predictor.kind)
    return _FEATURES.get(upstream.kind, upstream.kind)


def _name(row: ResultRow) -> tuple[str, ...]:
    return row.corpus, row.protocol, row.features, row.predictor


def _read(path: Path) -> ResultRow:
    results = read_results(path)
    protocol, upstream = results.protocol, results.upstream
    trained = upstream.kind == "trained encoder"
    caveats = []
    if results.regressor is not None:
        made, predictor = results.regressor, _regressor_name(results.regressor)
        utterances = results.n_tested
    else:
        assert results.classifier is not None  # read_results sees to it
        made, predictor = (
            results.classifier,
            _classifier_name(results.classifier),
        )
        utterances = sum(results.counts.values())
        if trained:
            caveats = _other_probe(results.corpus, protocol.name, made)
    note = read_note(path.parent)
    headline = results.headline or _older_headline(results)
    return ResultRow(
        corpus=results.corpus,
        protocol=protocol.name,
        features=note.features if note else features_name(upstream, made),
        predictor=predictor,
        trained=trained,
        scales=results.scales,
        headline=headline.scores,
        averaged=headline.averaged,
        pooled=results.pooled,
        fold_spread=results.fold_spread,
        interval95=results.interval95,
        caveats=(*protocol.marks, *caveats),
        folds=protocol.n_folds,
        seeds=len(results.seeds),
        utterances=utterances,
        folder=path.parent,
        recall=results.recall,
        calibration=results.calibration,
        speaker_spread=results.speaker_spread,
        upstream_parameters=upstream.parameters,
        downstream_parameters=next(
            (fold.parameters for fold in results.folds), None
        ),
    )


def _older_headline(results: Results) -> Headline:
    """Of files from before ``results.json`` said which average it is."""
    if results.conversation is not None:
        return Headline(results.pooled, POOLED)
    means = {name: spread.mean for name, spread in results.fold_spread.items()}
    return Headline(means, MEAN_OVER_FOLDS)


def _other_probe(corpus: str, protocol: str, made: Made) -> list[str]:
    """The paper's numbers are of its own probe, on means for sentiment.

    Conversations have no probe; their own caveats name another network.
    """
    paper = paper_row(corpus, protocol)
    own = "probe"
    if paper is not None and paper.task == "sentiment":
        own = "probe on utterance means"
    if made.kind == own or made.kind.startswith("conversation network"):
        return []
    return [f"by {_classifier_name(made)}, not by the paper's probe"]


def _classifier_name(made: Made) -> str:
    return made.kind.partition(" on standardised")[0]


def _regressor_name(made: Made) -> str:
    """Kind, and what was minimised where there was a choice."""
    name = made.kind.partition(" on ")[0]
    head = (made.head or {}).get("name")
    details = [str(x) for x in (head, made.objective) if x]
    return f"{name} ({', '.join(details)})" if details else name
