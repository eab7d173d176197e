"""Run every recipe whose corpus is there, or a table of the paper.

Floors and the encoders given are the columns: the most frequent class, classes
drawn by their frequency, MFCC statistics, eGeMAPS functionals (where opensmile
is installed) and the first encoder's sizes at random initialisation. A second
run of the same command goes on where the first one stopped. Folders below
--data_root are found by name or by their content.

--table prints a table as the paper does, ours beside it: its upstreams, or
those of --upstreams, under the paper's protocols and speaker-disjoint ones.
The plan comes first, and alone with --dry_run.

example:
  e2v reproduce --data_root /data --encoder results/pretrain/encoder
  e2v reproduce --data_root /data --table 4 --upstreams emotion2vec wavlm-base
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.report.find_corpora import find_corpora
from speechbrain_e2v.report.floor_tests import with_tests
from speechbrain_e2v.report.floors import with_floors
from speechbrain_e2v.report.job_queue import row_of, run_jobs
from speechbrain_e2v.report.jobs import Job
from speechbrain_e2v.report.paper_table import STRICT, TABLES
from speechbrain_e2v.report.recipe_jobs import (
    FLOORS,
    JobOptions,
    name_and_source,
    read_encoders,
    recipe_folders,
    without_opensmile,
)
from speechbrain_e2v.report.recipe_plans import Plan, recipe_plans
from speechbrain_e2v.report.rows import in_order
from speechbrain_e2v.report.table_cells import Choice
from speechbrain_e2v.report.table_run import (
    plan_of_table,
    print_plan,
    run_table,
)
from speechbrain_e2v.report.tables import Missing, overview
from speechbrain_e2v.tools.table import SUFFIXES, write_table

CHECKOUT = Path(__file__).resolve().parents[2]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v reproduce`."""
    parser.add_argument("--data_root", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--encoder",
        nargs="+",
        default=[],
        metavar="[NAME=]SOURCE",
        help="encoder folders, published files or hub ids; the first one's "
        "sizes are also run at random initialisation",
    )
    parser.add_argument(
        "--table",
        metavar="N",
        help=f"a table of the paper ({', '.join(TABLES)}), or a yaml of one",
    )
    parser.add_argument(
        "--upstreams",
        nargs="+",
        metavar="NAME[=SOURCE]",
        help="rows of the table that are run, and more: names of "
        "hparams/upstreams (default: all rows, none with --encoder)",
    )
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="show the plan of a table: jobs, minutes, bytes of features",
    )
    parser.add_argument(
        "--floors",
        nargs="*",
        choices=FLOORS,
        default=list(FLOORS),
        help="what hears nothing or has learned nothing (default: all)",
    )
    parser.add_argument(
        "--no_floors", action="store_true", help="none of these"
    )
    parser.add_argument(
        "--corpora", nargs="+", metavar="NAME", help="default: all recipes"
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
    if arguments.table is None:
        if not arguments.encoder:
            raise ValueError("no encoder is given; add --encoder SOURCE")
        for name in ("upstreams", "dry_run"):
            if getattr(arguments, name):
                raise ValueError(f"{name}: is of a table; add --table N")
    elif arguments.corpora:
        raise ValueError("corpora: a table has its own; leave out --corpora")
    options = JobOptions(
        checkout,
        arguments.output,
        arguments.allow_partial,
        tuple(arguments.seeds or ()),
        arguments.number_of_epochs,
        arguments.device,
    )
    floors = [] if arguments.no_floors else arguments.floors
    floors = without_opensmile(floors)
    encoders = read_encoders(arguments.encoder)
    if arguments.table is None:
        with sole_writer(arguments.output):
            return _all_recipes(arguments, options, floors, encoders)
    return _one_table(arguments, options, floors, encoders)


def _one_table(
    arguments: Namespace,
    options: JobOptions,
    floors: list[str],
    encoders: dict[str, str],
) -> int:
    upstreams = None
    if arguments.upstreams or encoders:
        upstreams = _upstreams(arguments.upstreams or [])
    choice = Choice(
        upstreams, encoders, floors, arguments.protocols, arguments.probe
    )
    number, table, cells = plan_of_table(
        arguments.table, arguments.data_root, choice, options
    )
    print_plan(cells, options)
    if arguments.dry_run:
        return 0
    with sole_writer(arguments.output):
        rows, failed = run_table(number, table, cells, arguments.output, floors)
        for suffix in SUFFIXES if rows else ():
            path = arguments.output / f"results{suffix}"
            write_table(path, rows, failed)
    return int(bool(failed))


def _upstreams(given: list[str]) -> dict[str, str]:
    """Names and the sources of those that have one."""
    found = {}
    for text in given:
        name, source = name_and_source(text) if "=" in text else (text, "")
        found[name] = source
    return found


def _all_recipes(
    arguments: Namespace,
    options: JobOptions,
    floors: list[str],
    encoders: dict[str, str],
) -> int:
    recipes = _chosen_recipes(arguments, recipe_folders(options.checkout))
    corpora = find_corpora(arguments.data_root, recipes)
    jobs, missing = [], []
    for recipe in recipes:
        plans = _chosen_plans(arguments, recipe)
        for folder in corpora[recipe.name]:
            jobs += [
                job
                for plan in plans
                for job in _jobs(
                    arguments.probe, plan, folder, floors, encoders, options
                )
            ]
        if not corpora[recipe.name] and recipe.name != "Custom":
            missing += [
                Missing(p.recipe, p.protocol, None, "no data") for p in plans
            ]
    where = [f"{n}: {f}" for n, found in corpora.items() for f in found]
    print("\n".join(["found", *where]) if where else "no corpus is there")
    done, failed = run_jobs(jobs)
    missing += failed
    rows = in_order(row_of(job) for job in done)
    if floors:
        rows = with_tests(with_floors(rows))
    for suffix in SUFFIXES:
        write_table(arguments.output / f"table{suffix}", rows, missing)
    print(f"\n{overview(rows, missing).markdown()}\n")
    print(f"{arguments.output / 'table.md'}, .csv, .tex")
    return int(bool(failed))


def _chosen_recipes(arguments: Namespace, there: dict[str, Path]) -> list[Path]:
    names = arguments.corpora or [n for n in there if n != "Synthetic"]
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ValueError(
            f"there is no recipe {', '.join(unknown)}; there are "
            f"{', '.join(there)}"
        )
    # Custom comes last: it takes what no other recipe has taken.
    names = sorted(dict.fromkeys(names), key=lambda name: name == "Custom")
    return [there[name] for name in names]


def _chosen_plans(arguments: Namespace, recipe: Path) -> list[Plan]:
    return [
        plan
        for plan in recipe_plans(recipe)
        if arguments.protocols == "all"
        or (plan.yaml == STRICT) == (arguments.protocols == "strict")
    ]


def _jobs(
    probe: str,
    plan: Plan,
    folder: Path,
    floors: list[str],
    encoders: dict[str, str],
    options: JobOptions,
) -> list[Job]:
    """Floors, then encoders, of one experiment on one folder."""
    own = options.recipes / plan.recipe / "hparams" / plan.yaml
    random = options.probes / f"random_{plan.head}.yaml"
    if probe != "released":
        own = options.probes / f"{probe}.yaml"
        random = options.probes / f"random_{probe}.yaml"
    first = next(iter(encoders.values()))
    columns = [
        (FLOORS[name], random, first)
        if name == "random"
        else (FLOORS[name], options.probes / f"{name}.yaml", None)
        for name in FLOORS
        if name in floors
    ]
    columns += [(name, own, encoder) for name, encoder in encoders.items()]
    jobs = []
    for features, yaml, encoder in columns:
        words: list[object] = []
        if encoder is not None:
            words += ["--encoder", encoder]
            words += options.training(epochs=probe != "logistic")
        jobs.append(
            options.job(
                plan.recipe,
                folder,
                yaml,
                plan.protocol,
                plan.n_folds,
                features,
                words,
                encoder,
            )
        )
    return jobs
