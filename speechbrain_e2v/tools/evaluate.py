"""Score a finished classifier on a corpus, its own or any other.

MODEL is a classifier folder of `e2v export`, an emotion2vec+ folder or a hub
id. Classes of model and corpus meet by a table of labels; what one of them
lacks is said. Nothing is trained. A second run of the same command goes on
where the first one stopped.

examples:
  e2v evaluate emotion2vec/emotion2vec_plus_base --recipe EmoDB --data_folder D
  e2v evaluate results/my_classifier --manifest calls.json --label_map mine.yaml
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from speechbrain_e2v.corpora.common_labels import read_common_labels
from speechbrain_e2v.corpora.manifest import write_manifest
from speechbrain_e2v.downstream.evaluation import LEAVE_OUT, UNMAPPED, evaluate
from speechbrain_e2v.downstream.labelled_corpus import (
    listed_corpus,
    of_part,
    prepared_corpus,
)
from speechbrain_e2v.downstream.results import write_run
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.report.find_corpora import recipe_corpus
from speechbrain_e2v.report.formats import file_name, single_line
from speechbrain_e2v.tools.classify import (
    add_batch_argument,
    add_source_arguments,
    load_model,
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v evaluate`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="classifier folder, emotion2vec+ folder or hub id",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--recipe", metavar="NAME", help="a folder of recipes/, such as EmoDB"
    )
    what.add_argument(
        "--manifest", type=Path, help="a manifest with classes (emo)"
    )
    parser.add_argument(
        "--data_folder", type=Path, metavar="DIR", help="the recipe's corpus"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="table of --recipe Custom"
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        metavar="FILE",
        help="ids or paths of the recipe's corpus to leave out, one a line",
    )
    parser.add_argument(
        "--part",
        choices=("train", "valid", "test"),
        help="only this official part of the corpus",
    )
    parser.add_argument(
        "--allow_partial",
        action="store_true",
        help="take an incomplete corpus; the results say so",
    )
    parser.add_argument(
        "--label_map",
        type=Path,
        metavar="FILE",
        help="a table of labels that goes before the shipped one",
    )
    parser.add_argument(
        "--unmapped",
        choices=UNMAPPED,
        default=LEAVE_OUT,
        help="utterances whose class the model lacks (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: results/evaluate/<model>/<corpus>",
    )
    add_batch_argument(parser)
    add_source_arguments(parser)


def run(arguments: Namespace) -> int:
    """Evaluate and write ``results.json`` and ``predictions.csv``."""
    _check(arguments)
    labels = read_common_labels(arguments.label_map)
    corpus = None
    if arguments.recipe is not None:
        corpus = recipe_corpus(arguments.recipe).as_asked(
            arguments.labels, arguments.exclude
        )
    model = load_model(arguments)
    path = Path(arguments.model)
    source = path.resolve().name if path.exists() else arguments.model
    tested = arguments.recipe or arguments.manifest.stem
    folder = arguments.output or Path(
        "results", "evaluate", file_name(source), file_name(tested)
    )
    with sole_writer(folder):
        manifest = folder / "manifest"
        part = arguments.part
        if corpus is None:
            found = of_part(listed_corpus(arguments.manifest), part)
            write_manifest(manifest / "all.json", found.utterances, "/")
        else:
            whole = prepared_corpus(
                corpus,
                arguments.data_folder,
                manifest,
                strict_counts=not arguments.allow_partial,
            )
            found = of_part(whole, part)
        results, outcome, targets = evaluate(
            model.trained,
            source,
            found,
            labels,
            folder / "posteriors",
            arguments.unmapped,
            arguments.batch_seconds,
        )
        speakers = {u.id: u.spk for u in found.utterances}
        title = _title(results)
        write_run(folder, results, [outcome], targets, speakers, title)
    print(_floors(results))
    return 0


def _check(arguments: Namespace) -> None:
    """Refuse options that do not go together, before any work."""
    if (arguments.recipe is None) != (arguments.data_folder is None):
        raise ValueError(
            "a corpus is --recipe NAME with its --data_folder DIR, or "
            "--manifest FILE"
        )
    if arguments.data_folder and not arguments.data_folder.is_dir():
        raise ValueError(
            f"data_folder: there is no folder {arguments.data_folder}"
        )
    for name in ("labels", "exclude"):
        if arguments.recipe is None and getattr(arguments, name) is not None:
            raise ValueError(f"--{name} is of a recipe's corpus; add --recipe")
    if arguments.batch_seconds <= 0:
        raise ValueError(
            f"batch_seconds is {arguments.batch_seconds}; give seconds above 0"
        )


def _title(results: dict) -> str:
    lines = [
        f"{results['corpus']} by {results['upstream']['source']}",
        *results["protocol"]["marks"],
    ]
    return "\n".join(single_line(line) for line in lines)


def _floors(results: dict) -> str:
    """What hears nothing."""
    floors = "; ".join(
        f"{name}: WA {scores['wa']:.2f}, UA {scores['ua']:.2f}"
        for name, scores in results["floors"].items()
    )
    return f"floors: {floors}"
