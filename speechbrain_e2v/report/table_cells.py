"""Every cell of a table: the paper's number, and the job that gives ours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speechbrain_e2v.report.jobs import Job
from speechbrain_e2v.report.paper import PaperRow
from speechbrain_e2v.report.paper_table import (
    PROBE,
    Column,
    PaperTable,
    TableRow,
    columns_of,
    printed_row,
)
from speechbrain_e2v.report.recipe_jobs import (
    FLOORS,
    JobOptions,
    options_as_words,
)

NO_DATA = "no data"
NOT_ASKED = "not run"
QUOTED = "quoted"
_RANDOM = "random"


@dataclass(frozen=True)
class Choice:
    """Which rows and columns of a table are run.

    ``upstreams`` are names, of rows or of upstreams, with a source where it is
    not the usual one; None is all rows. ``encoders`` are one's own,
    ``protocols`` is ``paper``, ``strict`` or ``all``, ``probe`` as of
    `e2v reproduce`.
    """

    upstreams: Mapping[str, str] | None = None
    encoders: Mapping[str, str] = field(default_factory=dict)
    floors: Sequence[str] = tuple(FLOORS)
    protocols: str = "all"
    probe: str = "released"

    def takes(self, row: TableRow) -> bool:
        """Whether a row of the table is run."""
        if self.upstreams is None:
            return True
        return bool({row.name, row.upstream} & set(self.upstreams) - {""})


@dataclass(frozen=True)
class Cell:
    """A row under a column: ``job``, or ``why`` there is none.

    ``features`` is what results call the row here.
    """

    row: TableRow
    column: Column
    features: str
    printed: PaperRow | None
    job: Job | None
    why: str = ""


def table_cells(
    number: str,
    table: PaperTable,
    choice: Choice,
    corpora: Mapping[str, list[Path]],
    options: JobOptions,
) -> list[Cell]:
    """Floors, the table's rows, and what else was asked for, in this order.

    Raises ValueError for an upstream that nothing here is called.
    """
    _check(table, choice, options.checkout)
    columns = [
        column
        for column in columns_of(table, options.recipes)
        if choice.protocols == "all"
        or column.strict == (choice.protocols == "strict")
    ]
    found = []
    for name in choice.floors:
        for column in columns:
            if name in column.experiment.floors:
                found.append(_floor(name, column, choice, corpora, options))
    for row in [*table.rows, *_more_rows(table, choice)]:
        for column in columns:
            if not _takes_part(row, column, row in table.rows):
                continue
            printed = printed_row(number, table, row, column)
            job, why = None, _why_not(row, column, choice, corpora, options)
            if not why:
                folder = corpora[column.experiment.corpus][0]
                job = _job(row, column, choice, folder, options)
            found.append(
                Cell(row, column, _features(row, column), printed, job, why)
            )
    return found


def known_upstreams(checkout: Path) -> list[str]:
    """What ``--upstream`` of a recipe can name."""
    folder = checkout / "hparams" / "upstreams"
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _check(table: PaperTable, choice: Choice, checkout: Path) -> None:
    upstreams = known_upstreams(checkout)
    named = {name for row in table.rows for name in (row.name, row.upstream)}
    known = sorted({*upstreams, *named} - {""})
    for name in choice.upstreams or ():
        if name not in known:
            raise ValueError(
                f"upstreams: there is no {name}; there are {', '.join(known)}"
            )


def _more_rows(table: PaperTable, choice: Choice) -> Iterator[TableRow]:
    """Upstreams that the paper's table lacks, and encoders of one's own."""
    named = {name for row in table.rows for name in (row.name, row.upstream)}
    for name in choice.upstreams or ():
        if name not in named:
            yield TableRow(model=name, upstream=name)
    for name, source in choice.encoders.items():
        yield TableRow(model=name, name=name, encoder=source)


def _takes_part(row: TableRow, column: Column, of_the_table: bool) -> bool:
    if row.experiments and column.name not in row.experiments:
        return False
    if row.yaml and column.experiment.yaml != PROBE:
        return False
    return of_the_table or column.experiment.hears


def _features(row: TableRow, column: Column) -> str:
    """A second experiment under one protocol adds its name."""
    return row.label if column.first else f"{row.label}, {column.name}"


def _why_not(
    row: TableRow,
    column: Column,
    choice: Choice,
    corpora: Mapping[str, list[Path]],
    options: JobOptions,
) -> str:
    """Why a row is not run under a column; empty if it is."""
    if row.quoted:
        return QUOTED
    if row.yaml and _network(row, column, options) is None:
        return f"{QUOTED}: no recipe has {row.yaml}"
    heard = row.upstream if column.experiment.hears else ""
    if heard and heard not in known_upstreams(options.checkout):
        return f"{QUOTED}: no upstream {heard} here"
    if not row.encoder and not choice.takes(row):
        return NOT_ASKED
    if row.source == "vectors" and not _source(row, choice):
        return f"{QUOTED}: give --upstreams {row.label}=VECTORS"
    return "" if corpora[column.experiment.corpus] else NO_DATA


def _source(row: TableRow, choice: Choice) -> str:
    """Of an upstream, where it is not the usual one."""
    given = choice.upstreams or {}
    return row.encoder or given.get(row.name) or given.get(row.upstream, "")


def _network(row: TableRow, column: Column, options: JobOptions) -> Path | None:
    """The yaml of a network, of the recipe or of any."""
    own = options.recipes / column.experiment.corpus / "hparams" / row.yaml
    return next(
        (p for p in (own, options.probes / row.yaml) if p.is_file()), None
    )


def _yaml(column: Column, options: JobOptions) -> Path:
    if column.yaml.startswith("hparams/"):
        return options.checkout / column.yaml
    recipe = options.recipes / column.experiment.corpus
    return recipe / "hparams" / column.yaml


def _job(
    row: TableRow,
    column: Column,
    choice: Choice,
    folder: Path,
    options: JobOptions,
) -> Job:
    yaml, epochs = _yaml(column, options), True
    if row.yaml:
        yaml = _network(row, column, options) or yaml
    elif choice.probe != "released" and column.experiment.yaml == PROBE:
        yaml = options.probes / f"{choice.probe}.yaml"
        epochs = choice.probe != "logistic"
    words: list[object] = []
    source = _source(row, choice)
    if column.experiment.hears:
        if row.upstream:
            words += ["--upstream", row.upstream]
        if source:
            words += [f"--{row.source}", source]
    words += options_as_words({**column.experiment.options, **row.options})
    words += options.training(epochs)
    features = _features(row, column)
    return _run(column, folder, yaml, features, words, source or None, options)


def _floor(
    name: str,
    column: Column,
    choice: Choice,
    corpora: Mapping[str, list[Path]],
    options: JobOptions,
) -> Cell:
    """A floor by its own probe, or as the input of a network."""
    label = FLOORS[name]
    row = TableRow(model=label, name=label)
    experiment = column.experiment
    folders = corpora[experiment.corpus]
    words: list[object] = []
    encoder, why = None, "" if folders else NO_DATA
    yaml = options.probes / f"{name}.yaml"
    if experiment.own_network:
        yaml = _yaml(column, options)
        words = ["--upstream", name, *options_as_words(experiment.options)]
        words += options.training()
        if name in ("constant", "prior") or not experiment.hears:
            why = why or NOT_ASKED  # the labels tested tell
        elif name not in known_upstreams(options.checkout):
            why = why or f"no upstream {name} here"
    elif name == _RANDOM and choice.encoders:
        encoder = next(iter(choice.encoders.values()))
        probe = column.head if choice.probe == "released" else choice.probe
        yaml = options.probes / f"random_{probe}.yaml"
        words = ["--encoder", encoder]
        words += options.training(choice.probe != "logistic")
    elif name == _RANDOM:
        row = TableRow(model=label, name=label, upstream=_RANDOM)
        if name not in known_upstreams(options.checkout):
            why = why or f"no upstream {name} here"
        if not why:
            job = _job(row, column, choice, folders[0], options)
            return Cell(row, column, label, None, job)
    if why:
        return Cell(row, column, label, None, None, why)
    job = _run(column, folders[0], yaml, label, words, encoder, options)
    return Cell(row, column, label, None, job)


def _run(
    column: Column,
    folder: Path,
    yaml: Path,
    features: str,
    words: Iterable[object],
    encoder: str | None,
    options: JobOptions,
) -> Job:
    return options.job(
        column.experiment.corpus,
        folder,
        yaml,
        column.protocol,
        column.n_folds,
        features,
        list(words),
        encoder,
        column.experiment.results,
    )
