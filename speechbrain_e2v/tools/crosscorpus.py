"""Train on some corpora, test on others, with the same classes everywhere.

Every corpus by itself (whole speakers held out), every pair, and all others
together; with --shots some utterances a class of the corpus tested train too.
Corpora are NAME=DIR of a recipe, NAME=table.csv of your own (as of recipes/
Custom), or NAME=manifest.json. Upstreams are names of hparams/upstreams, yaml
files, or encoders: NAME=SOURCE. MFCC statistics are a floor of every table.
A second run of the same command goes on where the first one stopped, and
writes the same bytes.

example:
  e2v crosscorpus --corpora EmoDB=/data/emodb SAVEE=/data/savee
      --upstreams egemaps mine=results/pretrain/encoder --shots 1 10 100
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path

from speechbrain_e2v.corpora.common_labels import (
    CommonLabels,
    read_common_labels,
)
from speechbrain_e2v.downstream.cross_corpus.conditions import (
    KEPT,
    SPEAKER_DIRECTIONS,
    conditions,
)
from speechbrain_e2v.downstream.cross_corpus.plan import domains, plan_cells
from speechbrain_e2v.downstream.cross_corpus.run import (
    Features,
    Score,
    run_cells,
)
from speechbrain_e2v.downstream.cross_corpus.vectors import (
    STANDARDISED,
    TRAINING,
)
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.labelled_corpus import (
    LabelledCorpus,
    listed_corpus,
    prepared_corpus,
)
from speechbrain_e2v.downstream.upstreams import Upstream
from speechbrain_e2v.downstream.upstreams.by_name import upstream_by_name
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.report.cross_corpus import cross_corpus_page, scores_table
from speechbrain_e2v.report.cross_corpus_plot import plot_heat_map
from speechbrain_e2v.report.find_corpora import recipe_corpus
from speechbrain_e2v.report.formats import file_name
from speechbrain_e2v.training.devices import usable_device

FLOOR = "mfcc"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v crosscorpus`."""
    parser.add_argument(
        "--corpora",
        nargs="+",
        required=True,
        metavar="NAME=PLACE",
        help="two or more: a recipe's folder of data, a table, a manifest",
    )
    parser.add_argument(
        "--upstreams",
        nargs="*",
        default=[],
        metavar="[NAME=]SOURCE",
        help="names of hparams/upstreams, yaml files or encoders",
    )
    parser.add_argument(
        "--no_floors", action="store_true", help="do not add MFCC statistics"
    )
    parser.add_argument(
        "--shots",
        nargs="*",
        type=int,
        default=[],
        metavar="K",
        help="utterances a class of the corpus tested that train too, such as "
        "1 10 100; of speakers that are not tested",
    )
    parser.add_argument(
        "--no_leave_one_out",
        action="store_true",
        help="do not train on all other corpora together",
    )
    parser.add_argument(
        "--standardise",
        nargs="+",
        choices=STANDARDISED,
        default=[TRAINING],
        help="features: by the training part (default), or each corpus by "
        "itself, without its labels; or both",
    )
    parser.add_argument(
        "--speaker_directions",
        nargs="+",
        choices=SPEAKER_DIRECTIONS,
        default=[KEPT],
        help="removed: the means of the training speakers are projected out; "
        "or both (default: kept)",
    )
    parser.add_argument(
        "--label_map",
        type=Path,
        metavar="FILE",
        help="a table of labels that goes before the shipped one",
    )
    parser.add_argument(
        "--n_folds",
        type=int,
        default=5,
        help="blocks of speakers inside a corpus (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--allow_partial",
        action="store_true",
        help="take incomplete corpora; the table says so",
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU)")
    parser.add_argument(
        "--output", type=Path, default=Path("results/crosscorpus")
    )


def run(arguments: Namespace) -> int:
    """Run all cells; write ``table.md``, ``scores.csv`` and the heat maps."""
    _check(arguments)
    labels = read_common_labels(arguments.label_map)
    places = _named(arguments.corpora, "corpora")
    for name, place in places.items():
        if not Path(place).exists():
            raise ValueError(f"corpora: {name}: there is no {place}")
    upstreams = _upstreams(arguments)
    folder = arguments.output
    with sole_writer(folder):
        corpora = [
            _corpus(name, Path(place), folder, not arguments.allow_partial)
            for name, place in places.items()
        ]
        found, classes = domains(corpora, _common(labels, corpora))
        cells = plan_cells(
            found,
            arguments.shots,
            arguments.n_folds,
            arguments.seed,
            not arguments.no_leave_one_out,
        )
        features = [
            Features(
                name,
                upstream,
                {
                    corpus.name: cached_features(
                        folder / "features", upstream, corpus.utterances
                    )
                    for corpus in corpora
                },
            )
            for name, upstream in upstreams.items()
        ]
        scores = run_cells(
            folder / "cells",
            found,
            classes,
            cells,
            features,
            conditions(arguments.standardise, arguments.speaker_directions),
            arguments.seed,
            file_name,
        )
        written = _write(folder, scores, classes)
    print("\n".join(map(str, written)))
    return 0


def _check(arguments: Namespace) -> None:
    if len(arguments.corpora) < 2:
        raise ValueError("one corpus is given; name two or more: --corpora")
    if any(k < 1 for k in arguments.shots):
        raise ValueError(
            f"shots is {arguments.shots}; give numbers of 1 or more"
        )
    if arguments.n_folds < 3:
        raise ValueError(
            f"n_folds is {arguments.n_folds}; one block tests, another "
            "validates: give 3 or more"
        )
    arguments.shots = sorted(set(arguments.shots))


def _named(given: Iterable[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, _, place = text.partition("=")
        if not name or not place:
            raise ValueError(f"{option}: {text!r} is no NAME=PLACE")
        if name in found:
            raise ValueError(f"{option}: {name} is there twice; rename one")
        found[name] = place
    return found


def _upstreams(arguments: Namespace) -> dict[str, Upstream]:
    """All upstreams by name, each built, so that a bad one ends at once."""
    sources = {} if arguments.no_floors else {FLOOR: FLOOR}
    for text in arguments.upstreams:
        name, _, source = text.partition("=")
        if Path(text).exists() or not source:
            source, path = text, Path(text)
            name = path.parent.name if path.name == "encoder" else path.stem
        if sources.get(name, source) != source:
            raise ValueError(
                f"upstreams: two would be called {name}; name them: "
                f"one={source} two=..."
            )
        sources[name] = source
    if not sources:
        raise ValueError("no upstreams are given; name some: --upstreams")
    device = str(usable_device(arguments.device))
    return {n: upstream_by_name(s, device) for n, s in sources.items()}


def _corpus(
    name: str, place: Path, folder: Path, strict_counts: bool
) -> LabelledCorpus:
    """A corpus under the name that the user gave it."""
    if place.suffix == ".json":
        found = listed_corpus(place)
    else:
        own = place.suffix == ".csv"
        corpus = recipe_corpus("Custom" if own else name)
        corpus = corpus.as_asked(labels=place if own else None)
        found = prepared_corpus(
            corpus,
            place.parent if own else place,
            folder / "manifests" / file_name(name),
            strict_counts,
        )
    return found.called(name)


def _common(
    labels: CommonLabels, corpora: Sequence[LabelledCorpus]
) -> dict[str, dict[tuple[str, str], str | None]]:
    """Of each corpus the common id of (data set, class)."""
    labels.require_used(
        {name: classes for c in corpora for name, classes in c.classes.items()}
    )
    return {
        corpus.name: {
            (data_set, name): common
            for data_set, classes in corpus.classes.items()
            for name, common in labels.of_corpus(data_set, classes).items()
        }
        for corpus in corpora
    }


def _write(
    folder: Path, scores: Sequence[Score], classes: Sequence[str]
) -> list[Path]:
    page = cross_corpus_page(scores, classes)
    written = [
        replace_text(folder / "table.md", page),
        replace_text(folder / "scores.csv", scores_table(scores).csv()),
    ]
    for name in dict.fromkeys(score.condition.name for score in scores):
        here = [s for s in scores if s.condition.name == name]
        written.append(plot_heat_map(folder / f"heat_map-{name}.png", here))
    print(page)
    return written
