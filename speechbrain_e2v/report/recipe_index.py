"""``recipes/README.md``: every recipe, the paper's number and ours."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from speechbrain_e2v.report.caveats import (
    NOTHING,
    caveat_codes,
    caveat_letters,
    legend,
)
from speechbrain_e2v.report.formats import Markdown, Table
from speechbrain_e2v.report.paper import paper_row
from speechbrain_e2v.report.recipe_plans import Plan, plan_of, recipe_plans
from speechbrain_e2v.report.rows import ResultRow

_SCORES = ("wa", "ua", "wf1")
_PREDICTED = ("ua", "macro_f1")  # of a conversation
_NO_DATA = "no data here"
_HEAD = """# Recipes

One folder a corpus. Its `README.md` says what it is, its licence, how to get
it, the layout that is expected, and its traps; its `<corpus>_prepare.py` knows
names and labels; `python train.py hparams/FILE.yaml` runs all folds.

This page is written by `e2v table RESULTS... --matrix recipes/README.md`:
numbers come from `results.json` files, never from a keyboard. Scores are
percent, WA / UA / WF1, mean over folds; of a conversation UA / MacroF1, pooled
over folds; of a regression the concordance correlation. `linear.yaml` is the
paper's protocol with its quirks, `linear_strict.yaml` one in which no speaker
is in two parts, where the corpus allows.

"""
_TAIL = """
The paper's numbers are emotion2vec base's, with an encoder pre-trained on 262
hours; compare within one protocol only.

## Baselines

Any recipe, from its folder, with the protocol and folds of its `linear.yaml`:

```bash
cd recipes/EmoDB
python train.py ../../hparams/probes/mfcc.yaml --data_folder DIR --protocol random_kfold --n_folds 10
python train.py ../../hparams/probes/random_linear.yaml --data_folder DIR --encoder FOLDER --protocol random_kfold --n_folds 10
python train.py ../../hparams/probes/logistic.yaml --data_folder DIR --encoder FOLDER --protocol random_kfold --n_folds 10
```

Of a regression, likewise; `--objective mse` for sentiment:

```bash
cd recipes/MSP-Podcast
python train.py ../../hparams/probes/mfcc_ridge.yaml --data_folder DIR --protocol official --n_folds 1
python train.py ../../hparams/probes/random_ridge.yaml --data_folder DIR --encoder FOLDER --protocol official --n_folds 1
python train.py ../../hparams/probes/ridge.yaml --data_folder DIR --encoder FOLDER --protocol official --n_folds 1
python train.py ../../hparams/probes/random_regression_linear.yaml --data_folder DIR --encoder FOLDER --protocol official --n_folds 1
```

## All at once

```bash
e2v reproduce --data_root DIR --encoder FOLDER --output results/reproduce
e2v audit results/reproduce
e2v table results/reproduce -o results/table.md
```
"""  # noqa: E501


def recipe_index(recipes: str | Path, rows: Sequence[ResultRow]) -> Table:
    """Corpus, task, protocol, paper, ours, marks and command.

    ``rows`` of no recipe's plan are left out.
    """
    folders = sorted(
        {path.parent for path in Path(recipes).glob("*/*_prepare.py")},
        key=lambda folder: folder.name.lower(),
    )
    letters = caveat_letters(rows)
    lines = []
    for folder in folders:
        plans = recipe_plans(folder)
        link = Markdown(f"[{folder.name}]({folder.name}/README.md)")
        if not plans or folder.name == "Synthetic":
            lines.append((link, *_without_task(folder, plans)))
            plans = []
        cells = [_classification(plan, rows, letters) for plan in plans]
        cells += _conversation(folder, rows, letters)
        cells += _regression(folder, rows, letters)
        lines += [(link, *line) for line in cells]
    header = ("corpus", "task", "protocol", "paper", "ours", "marks", "command")
    return Table(header, tuple(lines))


def index_page(recipes: str | Path, rows: Sequence[ResultRow]) -> str:
    """The whole of ``recipes/README.md``."""
    letters = caveat_letters(rows)
    marks = "\n" + legend(letters) if letters else ""
    table = recipe_index(recipes, rows).markdown()
    return f"{_HEAD}{table}\n{marks}{_TAIL}"


def _without_task(folder: Path, plans: Sequence[Plan]) -> tuple[str, ...]:
    (prepare,) = folder.glob("*_prepare.py")
    if not plans:
        command = f"python {prepare.name} --data_folder DIR --manifest FILE"
        return "pre-training", *[NOTHING] * 4, Markdown(f"`{command}`")
    return (
        "no speech, tests only",
        *[NOTHING] * 4,
        Markdown(f"`{plans[0].command}`"),
    )


def _classification(
    plan: Plan, rows: Iterable[ResultRow], letters: dict[str, str]
) -> tuple[str, ...]:
    here = [
        row
        for row in rows
        if row.corpus.split(":")[0] == plan.recipe
        and row.protocol == plan.protocol
        and not row.scales
    ]
    ours = [
        f"{row.corpus.partition(': ')[2]} {row.features}".strip()
        + f": {_joined(row.headline, _SCORES)}"
        for row in here
    ]
    return (
        plan.task,
        Markdown(f"`{plan.protocol}`"),
        _printed(plan.recipe, plan.protocol, _SCORES),
        "; ".join(ours) or _NO_DATA,
        caveat_codes(here, letters),
        Markdown(f"`{plan.command}`"),
    )


def _conversation(
    folder: Path, rows: Iterable[ResultRow], letters: dict[str, str]
) -> list[tuple[str, ...]]:
    plan = plan_of(folder, "conversation.yaml")
    if plan is None:
        return []
    protocol, command = plan
    corpus = f"{folder.name} conversation, speech"
    here = [r for r in rows if (r.corpus, r.protocol) == (corpus, protocol)]
    ours = [f"{r.features}: {_joined(r.pooled, _PREDICTED)}" for r in here]
    return [
        (
            "conversation",
            Markdown(f"`{protocol}`"),
            _printed(corpus, protocol, _PREDICTED),
            "; ".join(ours) or _NO_DATA,
            caveat_codes(here, letters),
            Markdown(f"`{command}`"),
        )
    ]


def _regression(
    folder: Path, rows: Iterable[ResultRow], letters: dict[str, str]
) -> list[tuple[str, ...]]:
    plan = plan_of(folder, "regression.yaml")
    if plan is None:
        return []
    protocol, command = plan
    here = [
        row
        for row in rows
        if (row.corpus, row.protocol) == (folder.name, protocol) and row.scales
    ]
    return [
        (
            "regression",
            Markdown(f"`{protocol}`"),
            NOTHING,
            "; ".join(map(_rating_scores, here)) or _NO_DATA,
            caveat_codes(here, letters),
            Markdown(f"`{command}`"),
        )
    ]


def _rating_scores(row: ResultRow) -> str:
    each = ", ".join(
        f"{rating} {row.headline[f'ccc_{rating}']:.3f}" for rating in row.scales
    )
    mae = row.headline["mae"]
    return f"{row.features}, {row.predictor}: CCC {each}; MAE {mae:.3f}"


def _printed(corpus: str, protocol: str, names: Sequence[str]) -> str:
    paper = paper_row(corpus, protocol)
    return _joined(paper.scores, names) if paper else NOTHING


def _joined(scores: dict[str, float], names: Sequence[str]) -> str:
    return " / ".join(
        f"{scores[name]:.2f}" if name in scores else NOTHING for name in names
    )
