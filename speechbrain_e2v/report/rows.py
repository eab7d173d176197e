"""What a table needs of a results.json."""

import json
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v.downstream.results import FORMAT
from speechbrain_e2v.report.paper import paper_row


@dataclass(frozen=True)
class ResultRow:
    """One experiment.

    Arguments
    ---------
    corpus, protocol : str
        What was tested, and how.
    features, classifier : str
        Short names.
    trained : bool
        Whether the features are of an encoder that learned something.
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
    classifier: str
    trained: bool
    pooled: dict
    fold_spread: dict
    interval95: dict | None
    marks: tuple
    folds: int
    seeds: int
    utterances: int
    folder: Path

    @property
    def paper(self):
        """The paper's row of this corpus and protocol, or None."""
        return paper_row(self.corpus, self.protocol)

    def difference(self, metric):
        """Points above the paper, None where there is nothing to compare."""
        if not self.trained or self.paper is None:
            return None
        printed = self.paper.scores.get(metric)
        return None if printed is None else self.pooled[metric] - printed


def find_results(paths):
    """``results.json`` files, given or below the folders given.

    Arguments
    ---------
    paths : iterable of str or Path
        Files and folders.

    Returns
    -------
    list of Path
        Sorted, each once.

    Raises
    ------
    ValueError
        Naming a path with no results.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "results.json").touch()
    >>> len(find_results([folder, folder / "results.json"]))
    1
    """
    found = set()
    for path in map(Path, paths):
        here = [path] if path.is_file() else path.rglob("results.json")
        here = {p.resolve() for p in here}
        if not here:
            raise ValueError(
                f"{path}: there is no results.json; give the output folder of "
                "a recipe's train.py"
            )
        found |= here
    return sorted(found)


def read_rows(paths):
    """Rows of many results; the same name twice gets its folder's.

    Arguments
    ---------
    paths : iterable of Path
        ``results.json`` files.

    Returns
    -------
    list of ResultRow
        As :func:`in_order` puts them.

    Raises
    ------
    ValueError
        Naming a file that is no results.json of this version.
    """
    rows = [_read(Path(path)) for path in paths]
    names = [_name(row) for row in rows]
    rows = [
        _renamed(row) if names.count(name) > 1 else row
        for row, name in zip(rows, names, strict=True)
    ]
    return in_order(rows)


def in_order(rows):
    """By corpus and protocol, baselines first.

    Arguments
    ---------
    rows : iterable of ResultRow
        Results.

    Returns
    -------
    list of ResultRow
    """
    return sorted(
        rows,
        key=lambda row: (
            row.corpus.lower(),
            row.protocol,
            baselines_first(row.features),
            str(row.folder),
        ),
    )


def baselines_first(name):
    """Sort key of the names of features.

    Example
    -------
    >>> sorted(["a", "random encoder", "MFCC statistics"], key=baselines_first)
    ['MFCC statistics', 'random encoder', 'a']
    """
    order = ("MFCC statistics", "random encoder")
    return (order.index(name) if name in order else len(order), name)


def _name(row):
    return row.corpus, row.protocol, row.features, row.classifier


def _renamed(row):
    values = {**vars(row), "features": f"{row.features} ({row.folder.name})"}
    return ResultRow(**values)


def _read(path):
    try:
        results = json.loads(path.read_text("utf-8"))
        if results["format"] != FORMAT:
            raise ValueError(f"format {results['format']}, not {FORMAT}")
        upstream, protocol = results["upstream"], results["protocol"]
        return ResultRow(
            results["corpus"],
            protocol["name"],
            _column(path.parent) or features_name(upstream),
            _classifier_name(results["classifier"]),
            upstream["kind"] == "trained encoder",
            results["pooled"],
            results["fold_spread"],
            results["interval95"],
            tuple(protocol["marks"]) + _other_probe(results),
            protocol["n_folds"],
            len(results["seeds"]),
            sum(results["counts"].values()),
            path.parent,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no results.json of this version ({error!r}); run the "
            "recipe again"
        ) from error


def _column(folder):
    """The name that `e2v reproduce` gave the features, if it did."""
    note = folder / "job.json"
    if not note.is_file():
        return None
    return json.loads(note.read_text("utf-8")).get("features")


def features_name(upstream):
    """A short name of what made the features.

    Arguments
    ---------
    upstream : dict
        As in ``results.json``.

    Returns
    -------
    str

    Example
    -------
    >>> features_name({"kind": "trained encoder", "source": "x/encoder"})
    'x/encoder'
    """
    if upstream["kind"] == "trained encoder":
        card = upstream.get("card") or {}
        return str(card.get("name") or upstream.get("source") or "encoder")
    return {
        "statistics of MFCCs": "MFCC statistics",
        "encoder at random initialisation": "random encoder",
    }.get(upstream["kind"], upstream["kind"])


def _other_probe(results):
    """The paper's numbers are of its own probe.

    Conversations have no probe; their own marks name another network.
    """
    name = str(results["classifier"].get("kind"))
    trained = results["upstream"]["kind"] == "trained encoder"
    own = name == "probe" or name.startswith("conversation network")
    if not trained or own:
        return ()
    classifier = _classifier_name(results["classifier"])
    return (f"by {classifier}, not by the paper's probe",)


def _classifier_name(description):
    kind = str(description.get("kind", "classifier"))
    return kind.partition(" on standardised")[0]
