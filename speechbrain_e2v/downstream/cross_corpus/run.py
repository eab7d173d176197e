"""All cells of all upstreams and conditions, each computed once and kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.cross_corpus.conditions import Condition
from speechbrain_e2v.downstream.cross_corpus.plan import Cell, Domain
from speechbrain_e2v.downstream.cross_corpus.vectors import (
    Vectors,
    joined_vectors,
)
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.downstream.evaluation import floor_scores
from speechbrain_e2v.downstream.provenance import heard_caveats
from speechbrain_e2v.downstream.results import (
    FORMAT,
    POOLED,
    software_entries,
    summarise,
    write_predictions,
    write_results,
)
from speechbrain_e2v.downstream.upstreams import Upstream
from speechbrain_e2v.inference.feature_store import FeatureStore


@dataclass(frozen=True)
class Score:
    """What a cell of a table shows, and where its ``results.json`` lies."""

    upstream: str
    condition: Condition
    cell: Cell
    results: dict
    folder: Path


@dataclass(frozen=True)
class Features:
    """An upstream under its name, with its features of every corpus."""

    name: str
    upstream: Upstream
    stores: Mapping[str, FeatureStore]


def run_cells(
    folder: Path,
    found: Sequence[Domain],
    classes: Sequence[str],
    cells: Sequence[Cell],
    features: Sequence[Features],
    conditions: Sequence[Condition],
    seed: int,
    name_of: Callable[[str], str],
) -> list[Score]:
    """Train and test every cell; what is there already is read.

    ``name_of`` makes a name of a folder of the names of corpora and
    upstreams.
    """
    rows = [u for domain in found for u in domain.utterances]
    truth = {u.id: classes.index(str(u.emo)) for u in rows}
    targets = ClassTargets(classes, truth)
    speakers = {u.id: u.spk for u in rows}
    ids = {domain.name: domain.listed for domain in found}
    scores = []
    total = len(features) * len(conditions) * len(cells)
    with progress_bar(total=total, desc="cross corpus", unit="cell") as bar:
        for given in features:
            for condition in conditions:
                vectors = joined_vectors(
                    given.stores, ids, condition.standardised
                )
                for cell in cells:
                    place = folder.joinpath(
                        name_of(given.name),
                        condition.name,
                        name_of(f"{cell.row} to {cell.test}"),
                    )
                    results = _run_cell(
                        place, vectors, targets, cell, condition, given,
                        speakers, _marks(found, cell, given), seed,
                    )  # fmt: skip
                    scores.append(
                        Score(given.name, condition, cell, results, place)
                    )
                    bar.update()
    return scores


def _run_cell(
    place: Path,
    vectors: Vectors,
    targets: ClassTargets,
    cell: Cell,
    condition: Condition,
    given: Features,
    speakers: dict[str, str],
    marks: list[str],
    seed: int,
) -> dict:
    trainer = condition.trainer(speakers)
    description = {**given.upstream.description, "source": given.name}
    runs = cross_validate(
        trainer, vectors, targets, cell.folds, [seed], place, description,
        progress=False,
    )  # fmt: skip
    tested = {"reference": [code for run in runs for code in run["reference"]]}
    results = {
        "format": FORMAT,
        "task": "emotion classification across corpora, frozen features",
        "corpus": cell.test,
        "protocol": {
            "name": cell.protocol + condition.words,
            "description": _words(cell, condition),
            "n_folds": len(cell.folds),
            "split_seed": seed,
            "marks": marks,
        },
        "classes": list(targets.names),
        "seeds": [seed],
        **summarise(runs, targets, speakers, POOLED),
        "floors": floor_scores(tested, len(targets.names)),
        "classifier": trainer.description,
        "upstream": description,
        **software_entries(),
    }
    write_predictions(place / "predictions.csv", runs, targets, speakers)
    write_results(place / "results.json", results)
    return results


def _words(cell: Cell, condition: Condition) -> str:
    if cell.train == cell.test:
        first = "blocks of whole speakers of one corpus train and are tested"
    elif cell.shots:
        first = (
            f"{cell.train} trains, with up to {cell.shots} utterances a class "
            f"of {cell.test}, of speakers that are not tested"
        )
    else:
        first = f"{cell.train} trains, all of {cell.test} is tested"
    return first + condition.words


def _marks(found: Sequence[Domain], cell: Cell, given: Features) -> list[str]:
    """Of the corpora that take part, and what the encoder heard of them."""
    card = given.upstream.description.get("card")
    (target,) = [d for d in found if d.name == cell.test]
    marks = ["no test speaker occurs in training", *target.marks]
    return [*marks, *heard_caveats(card, target.name)]
