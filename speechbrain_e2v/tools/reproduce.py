"""Run every recipe whose corpus is there, and make the paper's table of them.

Floors and the encoders given are the columns: the most frequent class, classes
drawn by their frequency, MFCC statistics, eGeMAPS functionals (where opensmile
is installed) and the first encoder's sizes at random initialisation. A second
run of the same command goes on where the first one stopped. Folders below
--data_root are found by name or by their content.

example:
  e2v reproduce --data_root /data --encoder results/pretrain/encoder --table 4
  e2v reproduce --data_root /data --encoder emotion2vec/emotion2vec_base
"""

import importlib.util
import shutil
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.report.find_corpora import (
    find_corpora,
    load_corpus,
    speakers_of,
)
from speechbrain_e2v.report.floor_tests import with_tests
from speechbrain_e2v.report.floors import with_floors
from speechbrain_e2v.report.formats import file_name, single_line
from speechbrain_e2v.report.jobs import Job
from speechbrain_e2v.report.paper import paper_rows
from speechbrain_e2v.report.recipe_plans import recipe_plans
from speechbrain_e2v.report.rows import in_order, read_rows
from speechbrain_e2v.report.tables import Missing, main_metric, overview
from speechbrain_e2v.tools.table import SUFFIXES, write_table

CHECKOUT = Path(__file__).resolve().parents[2]
FLOORS = {
    "constant": "constant",
    "prior": "prior",
    "mfcc": "MFCC statistics",
    "egemaps": "eGeMAPS",
    "random": "random encoder",
}
"""Name on the command line, and the column's."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v reproduce`."""
    parser.add_argument("--data_root", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--encoder",
        nargs="+",
        required=True,
        metavar="[NAME=]SOURCE",
        help="encoder folders, published files or hub ids; the first one's "
        "sizes are also run at random initialisation",
    )
    parser.add_argument(
        "--floors",
        nargs="*",
        choices=FLOORS,
        default=list(FLOORS),
        help="what hears nothing or has learned nothing (default: all; none "
        "after --floors)",
    )
    parser.add_argument(
        "--corpora", nargs="+", metavar="NAME", help="default: all recipes"
    )
    parser.add_argument(
        "--table", type=int, choices=(2, 3, 4, 5, 7), help="of the paper"
    )
    parser.add_argument(
        "--protocols",
        choices=("paper", "strict", "all"),
        default="all",
        help="the paper's, speaker-disjoint ones, or both (default)",
    )
    parser.add_argument(
        "--probe",
        choices=("released", "utterance", "logistic"),
        default="released",
        help="the paper's probe on frames; the same on utterance means, or "
        "logistic regression on them: many times quicker "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--allow_partial",
        action="store_true",
        help="take incomplete corpora; the table says so",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        help="of the probe, averaged (default: as in each recipe)",
    )
    parser.add_argument("--number_of_epochs", type=int, help="of the probe")
    parser.add_argument("--device", help="such as cuda:0")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reproduce")
    )


def run(arguments: Namespace, checkout: Path = CHECKOUT) -> int:
    """Run what is missing and write the table; 1 when a run failed."""
    with sole_writer(arguments.output):
        return _run(arguments, checkout)


def _run(arguments: Namespace, checkout: Path) -> int:
    recipes = _chosen_recipes(arguments, checkout / "recipes")
    encoders = _encoders(arguments.encoder)
    arguments.floors = _without_opensmile(arguments.floors)
    corpora = find_corpora(arguments.data_root, recipes)
    jobs, missing = [], []
    for recipe in recipes:
        plans = _chosen_plans(arguments, recipe)
        for folder in corpora[recipe.name]:
            jobs += [
                job
                for plan in plans
                for job in _jobs(arguments, plan, folder, encoders, checkout)
            ]
        if not corpora[recipe.name] and recipe.name != "Custom":
            missing += [
                Missing(p.recipe, p.protocol, None, "no data") for p in plans
            ]
    where = [f"{n}: {f}" for n, found in corpora.items() for f in found]
    print("\n".join(["found", *where]) if where else "no corpus is there")
    done = []
    for number, job in enumerate(jobs, start=1):
        why = _run_job(job, f"[{number}/{len(jobs)}]")
        if why is None:
            done.append(job)
        else:
            missing.append(
                Missing(
                    job.corpus, job.protocol, job.features, f"failed: {why}"
                )
            )
    rows = in_order(_row(job) for job in done)
    if arguments.floors:
        rows = with_tests(with_floors(rows))
    for suffix in SUFFIXES:
        path = arguments.output / f"table{suffix}"
        write_table(path, rows, missing)
    print(f"\n{overview(rows, missing).markdown()}\n")
    print(f"{arguments.output / 'table.md'}, .csv, .tex")
    return int(any(entry.why != "no data" for entry in missing))


def _chosen_recipes(arguments, folder):
    there = {
        path.parent.name: path.parent
        for path in sorted(folder.glob("*/train.py"))
    }
    if not there:
        raise ValueError(
            f"there are no recipes in {folder}; run from a checkout of the "
            "repository (pip install -e .)"
        )
    names = arguments.corpora or [n for n in there if n != "Synthetic"]
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ValueError(
            f"there is no recipe {', '.join(unknown)}; there are "
            f"{', '.join(there)}"
        )
    if arguments.table is not None:
        printed = {
            r.corpus for r in paper_rows() if r.table == str(arguments.table)
        }
        names = [name for name in names if name in printed]
        if not names:
            raise ValueError(
                f"table {arguments.table} has {', '.join(sorted(printed))}, "
                "none of the corpora asked for"
            )
    # Custom comes last: it takes what no other recipe has taken.
    names = sorted(dict.fromkeys(names), key=lambda name: name == "Custom")
    return [there[name] for name in names]


def _encoders(given: list[str]) -> dict[str, str]:
    """Columns and sources, each read once so that a bad one ends at once."""
    encoders: dict[str, str] = {}
    for text in given:
        name, _, source = text.rpartition("=")
        if Path(text).exists():
            name, source = "", text
        path = Path(source).expanduser()
        if path.exists():
            source = str(path.resolve())
        try:
            load_pretrained(source)
        except (ValueError, OSError) as error:
            raise ValueError(f"encoder: {error}") from error
        name = name or _name_of(source)
        if name in encoders or name in FLOORS.values():
            raise ValueError(
                f"encoder: two columns would be called {name}; name them: "
                f"--encoder one={source} two=..."
            )
        encoders[name] = source
    return encoders


def _name_of(source: str) -> str:
    """``base`` of base.pt, ``pretrain`` of pretrain/encoder, else the last."""
    path = Path(source)
    if path.is_file():
        return path.stem
    return path.parent.name if path.name == "encoder" else path.name


def _chosen_plans(arguments, recipe):
    plans = [
        plan
        for plan in recipe_plans(recipe)
        if arguments.protocols == "all"
        or (plan.yaml == "linear_strict.yaml")
        == (arguments.protocols == "strict")
    ]
    if arguments.table is not None:
        printed = {
            r.protocol
            for r in paper_rows()
            if (r.corpus, r.table) == (recipe.name, str(arguments.table))
        }
        plans = [
            p
            for p in plans
            if p.protocol in printed or p.yaml == "linear_strict.yaml"
        ]
    return plans


def _jobs(arguments, plan, folder, encoders, checkout):
    corpus = plan.recipe
    if corpus == "Custom":
        corpus = f"{corpus}: {folder.resolve().name}"
    n_folds = _folds(arguments, plan, folder, checkout)
    probes = checkout / "hparams" / "probes"
    own = checkout / "recipes" / plan.recipe / "hparams" / plan.yaml
    first = next(iter(encoders.values()))
    random = probes / f"random_{plan.head}.yaml"
    if arguments.probe != "released":
        own = probes / f"{arguments.probe}.yaml"
        random = probes / f"random_{arguments.probe}.yaml"
    columns = [
        (column, random, first)
        if name == "random"
        else (column, probes / f"{name}.yaml", None)
        for name, column in FLOORS.items()
        if name in arguments.floors
    ]
    columns += [(name, own, encoder) for name, encoder in encoders.items()]
    for features, yaml, encoder in columns:
        output = arguments.output.resolve().joinpath(
            *(file_name(n) for n in (corpus, plan.protocol, features))
        )
        command = [checkout / "recipes" / plan.recipe / "train.py", yaml]
        command += ["--data_folder", folder.resolve()]
        command += ["--protocol", plan.protocol, "--n_folds", n_folds]
        command += ["--output_folder", output, "--noprogressbar"]
        cache = arguments.output.resolve() / "features"
        command += ["--feature_cache", cache]
        command += ["--strict_counts", not arguments.allow_partial]
        if encoder is not None:
            command += ["--encoder", encoder]
            epochs = arguments.probe != "logistic"
            if arguments.number_of_epochs is not None and epochs:
                command += ["--number_of_epochs", arguments.number_of_epochs]
            if arguments.seeds:
                command += ["--seeds", arguments.seeds]
        if arguments.device:
            command += ["--device", arguments.device]
        words = tuple(str(word) for word in command)
        yield Job(
            corpus, plan.protocol, features, words, output, encoder, folder
        )


def _folds(arguments, plan, folder, checkout):
    """A part of a corpus may have fewer speakers than its recipe has folds."""
    if plan.protocol != "speaker_kfold" or not arguments.allow_partial:
        return plan.n_folds
    corpus = load_corpus(checkout / "recipes" / plan.recipe)
    return min(plan.n_folds, max(3, len(speakers_of(corpus, folder))))


def _without_opensmile(floors: list[str]) -> list[str]:
    """The floors that can be run here."""
    if "egemaps" not in floors or importlib.util.find_spec("opensmile"):
        return floors
    print("eGeMAPS is left out: pip install 'speechbrain_e2v[egemaps]'")
    return [name for name in floors if name != "egemaps"]


def _run_job(job, counter):
    title = f"{counter} {job.corpus}, {job.protocol}, {job.features}"
    title = single_line(title)
    if job.is_done():
        print(f"{title}: {_score(job)} (was done)", flush=True)
        return None
    print(f"{title} ...", end="", flush=True)
    started = time.monotonic()
    why = job.run()
    took = f"{time.monotonic() - started:.0f} s"
    if why is None:
        print(f" {_score(job)} ({took})", flush=True)
    else:
        width = shutil.get_terminal_size().columns
        print(
            f" failed ({took}): {single_line(why)[: max(40, width)]}",
            flush=True,
        )
        print(f"  {job.output / 'run.log'}", flush=True)
    return why


def _row(job):
    (row,) = read_rows([job.output / "results.json"])
    return row


def _score(job):
    metric = main_metric(job.corpus, job.protocol)
    return f"{metric.upper()} {_row(job).headline[metric]:.2f}"
