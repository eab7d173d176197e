"""What the recipes of a checkout run by default, read from their yaml files."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from speechbrain_e2v.report.paper import paper_row, paper_rows


@dataclass(frozen=True)
class Plan:
    """One experiment of a recipe: ``recipes/<recipe>/hparams/<yaml>``.

    ``overridden``: protocol and folds are given on the command line; ``head``:
    the base of the yaml, ``linear`` or ``sentiment``.

    >>> Plan("EmoDB", "linear.yaml", "random_kfold", 10, False, "linear").task
    'emotion'
    """

    recipe: str
    yaml: str
    protocol: str
    n_folds: int
    overridden: bool
    head: str

    @property
    def task(self) -> str:
        """``emotion``, ``song`` or ``sentiment``."""
        paper = paper_row(self.recipe, self.protocol)
        if paper is not None:
            return paper.task
        if self.recipe.endswith("-Song"):
            return "song"
        return "sentiment" if self.head == "sentiment" else "emotion"

    @property
    def command(self) -> str:
        """The command, from the folder of the recipe."""
        command = (
            f"python train.py hparams/{self.yaml} --data_folder DIR "
            "--encoder FOLDER"
        )
        if self.overridden:
            command += f" --protocol {self.protocol} --n_folds {self.n_folds}"
        return command


class _Plain(yaml.SafeLoader):
    """Reads scalars and lists; tags of HyperPyYAML become None."""


_Plain.add_multi_constructor("!", lambda loader, suffix, node: None)


def recipe_plans(folder: str | Path) -> list[Plan]:
    """The experiments of ``recipes/<Corpus>``, and others of the paper on it.

    Empty for a corpus that only serves pre-training. Raises ValueError for a
    yaml without protocol or number of folds.
    """
    folder = Path(folder)
    plans = [
        plan_of_yaml(folder, name)
        for name in ("linear.yaml", "linear_strict.yaml")
        if (folder / "hparams" / name).is_file()
    ]
    known = {plan.protocol for plan in plans}
    plans += [
        Plan(
            folder.name,
            "linear.yaml",
            row.protocol,
            row.n_folds,
            True,
            plans[0].head,
        )
        for row in paper_rows()
        if plans and row.corpus == folder.name and row.protocol not in known
    ]
    return plans


def plan_of_yaml(folder: Path, name: str) -> Plan:
    """The experiment of one yaml of a recipe.

    Raises ValueError for a yaml that is not there, or has no protocol or
    number of folds.
    """
    path = folder / "hparams" / name
    if not path.is_file():
        raise ValueError(f"{folder.name}: its recipe has no hparams/{name}")
    values = _values(path, "protocol", "n_folds")
    base = values.get("base")
    head = Path(base).stem if isinstance(base, str) else "linear"
    protocol, n_folds = values["protocol"], values["n_folds"]
    return Plan(folder.name, name, protocol, n_folds, False, head)


def plan_of(folder: str | Path, name: str) -> tuple[str, str] | None:
    """Protocol and command of a yaml of another task, if the recipe has it.

    >>> mosi = Path(__file__).resolve().parents[2] / "recipes/CMU-MOSI"
    >>> plan_of(mosi, "regression.yaml")[0]
    'official'
    """
    path = Path(folder) / "hparams" / name
    if not path.is_file():
        return None
    protocol = _values(path, "protocol")["protocol"]
    command = f"python train.py hparams/{name} --data_folder DIR"
    return protocol, f"{command} --encoder FOLDER"


def _values(path: Path, *keys: str) -> dict:
    """Plain values of a yaml with these keys; what has a tag is None."""
    try:
        values = yaml.load(path.read_text("utf-8"), Loader=_Plain)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path} is not readable: {problem}") from error
    kinds = {"protocol": str, "n_folds": int}
    for key in keys:
        value = values.get(key) if isinstance(values, dict) else None
        if not value or not isinstance(value, kinds[key]):
            raise ValueError(f"{path}: there is no {key} ({value!r}); give one")
    return values
