"""A table of the paper as data: its rows, its columns, how each is run.

``paper_tables/table_<N>.yaml`` is one; any file of the same keys is another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from speechbrain_e2v.files.documents import BadDocument, read_yaml
from speechbrain_e2v.report.paper import PaperRow, all_rows
from speechbrain_e2v.report.recipe_plans import (
    Plan,
    plan_of_yaml,
    recipe_plans,
)

TABLES = ("2", "3", "4", "5", "6", "7")
"""Of the paper, as shipped."""
STRICT = "linear_strict.yaml"
PROBE = "linear.yaml"
"""The recipes' own experiment, in which networks of others take part."""


class Experiment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One heading of a table, under every protocol of its recipe.

    ``yaml`` is the recipe's, or of the checkout if it begins with
    ``hparams/``; ``results`` is what ``results.json`` calls the corpus, if not
    as the recipe. An ``own_network`` takes floors as inputs instead of
    running their probes; what ``hears`` nothing is run without an upstream.
    """

    corpus: str
    name: str = ""
    results: str = ""
    yaml: str = PROBE
    features: str = "last"
    protocols: tuple[str, ...] = ()  # all
    options: dict[str, str | int | float] = {}
    floors: tuple[str, ...] = ("constant", "prior", "mfcc", "egemaps", "random")
    own_network: bool = False
    hears: bool = True


class TableRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One line of a table; ``model`` is the paper's word, ``name`` ours.

    ``setting`` picks the paper's number where a model has several; ``quoted``
    says why there is no command, ``approximate`` in what one differs.
    ``encoder`` is a source of one's own, ``source`` the option of the recipe
    that takes one: ``vectors`` have to be given, there are no usual ones.
    """

    model: str
    name: str = ""
    upstream: str = ""
    setting: str = ""
    yaml: str = ""
    options: dict[str, str | int | float] = {}
    experiments: tuple[str, ...] = ()  # all
    approximate: str = ""
    quoted: str = ""
    encoder: str = ""
    source: Literal["encoder", "vectors"] = "encoder"

    @property
    def label(self) -> str:
        """What it is called on the command line and in results."""
        return self.name or self.upstream


class PaperTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A table; ``metrics`` as printed, of ``wa, ua, wf1, macro_f1``."""

    title: str
    metrics: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class Column:
    """An experiment under one protocol.

    ``first`` is the leftmost one of its protocol, where numbers stand of
    which the layer is not said.
    """

    experiment: Experiment
    protocol: str
    n_folds: int
    yaml: str
    strict: bool
    head: str
    first: bool

    @property
    def name(self) -> str:
        """The heading without the protocol."""
        return self.experiment.name or self.experiment.corpus

    @property
    def corpus(self) -> str:
        """As ``results.json`` calls it."""
        return self.experiment.results or self.experiment.corpus


def read_table(name: str) -> tuple[str, PaperTable]:
    """A table by its number in the paper, or by the path of its yaml.

    >>> read_table("7")[1].metrics
    ('wf1',)
    """
    number = name if name in TABLES else Path(name).stem
    path = Path(name)
    if name in TABLES:
        folder = Path(__file__).with_name("paper_tables")
        path = folder / f"table_{name}.yaml"
    elif not path.is_file():
        raise ValueError(
            f"table: there is no table {name}; give {', '.join(TABLES)}, or "
            "the path of a yaml"
        )
    table = read_yaml(path, PaperTable, way_out="correct the file")
    known = {e.name or e.corpus for e in table.experiments}
    for row in table.rows:
        if not (row.label or row.quoted):
            raise BadDocument(f"{path}: {row.model}: give name or upstream")
        if strange := set(row.experiments) - known:
            raise BadDocument(
                f"{path}: {row.model}: no experiment is called "
                f"{', '.join(sorted(strange))}"
            )
    return number, table


def columns_of(table: PaperTable, recipes: Path) -> list[Column]:
    """Every experiment under every protocol, the paper's before strict ones."""
    columns: list[Column] = []
    seen: set[tuple[str, str]] = set()
    for experiment in table.experiments:
        corpus = experiment.results or experiment.corpus
        for plan in _plans(experiment, recipes / experiment.corpus):
            columns.append(
                Column(
                    experiment,
                    plan.protocol,
                    plan.n_folds,
                    plan.yaml if experiment.yaml == PROBE else experiment.yaml,
                    plan.yaml == STRICT,
                    plan.head,
                    first=(corpus, plan.protocol) not in seen,
                )
            )
            seen.add((corpus, plan.protocol))
    return sorted(columns, key=lambda column: column.strict)


def printed_row(
    number: str, table: PaperTable, row: TableRow, column: Column
) -> PaperRow | None:
    """The paper's number of a cell.

    One without a protocol stands in the first column of its corpus, one whose
    layer is not said, or not in the table, in the first of its protocol.
    """
    layers = {experiment.features for experiment in table.experiments}
    for paper in all_rows():
        if (paper.table, paper.model, paper.corpus) != (
            number,
            row.model,
            column.corpus,
        ) or not all(part in paper.setting for part in row.setting.split("; ")):
            continue
        if paper.features in layers:
            here = paper.features == column.experiment.features
        else:
            here = column.first
        usual = "" if paper.protocol else _usual_protocol(number, paper.corpus)
        if here and column.protocol == (paper.protocol or usual):
            return paper
    return None


def _usual_protocol(number: str, corpus: str) -> str:
    """The first protocol of a table's corpus."""
    return next(
        row.protocol
        for row in all_rows()
        if (row.table, row.corpus) == (number, corpus) and row.protocol
    )


def _plans(experiment: Experiment, recipe: Path) -> list[Plan]:
    """The recipe's, or the only one of a yaml with a protocol of its own."""
    if experiment.yaml != PROBE and not experiment.yaml.startswith("hparams/"):
        return [plan_of_yaml(recipe, experiment.yaml)]
    plans = recipe_plans(recipe)
    if not plans:
        raise ValueError(f"{recipe}: the recipe has no {PROBE}")
    wanted = experiment.protocols or [plan.protocol for plan in plans]
    return [plan for plan in plans if plan.protocol in wanted]
