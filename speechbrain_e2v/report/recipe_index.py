"""``recipes/README.md``: every recipe, the paper's number and ours."""

from pathlib import Path

from speechbrain_e2v.report.formats import Table
from speechbrain_e2v.report.paper import paper_row
from speechbrain_e2v.report.rating_tables import short_scores
from speechbrain_e2v.report.recipe_plans import plan_of, recipe_plans
from speechbrain_e2v.report.tables import NOTHING, number_marks

_SCORES = ("wa", "ua", "wf1")
_PREDICTED = ("ua", "macro_f1")  # of a conversation
_HEAD = """# Recipes

One folder a corpus. Its `README.md` says what it is, its licence, how to get
it, the layout that is expected, and its traps; its `<corpus>_prepare.py` knows
names and labels; `python train.py hparams/FILE.yaml` runs all folds.

This page is written by `e2v table RESULTS... --matrix recipes/README.md`:
numbers come from `results.json` files, never from a keyboard. Scores are
percent, WA / UA / WF1, pooled over folds; of a conversation UA / MacroF1, of a
regression the concordance correlation. `linear.yaml` is the paper's protocol
with its quirks, `linear_strict.yaml` one in which no speaker is in two parts,
where the corpus allows.

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


def matrix(recipes, rows, ratings=()):
    """Corpus, task, protocol, paper, ours, marks and command.

    Arguments
    ---------
    recipes : str or Path
        The folder ``recipes``.
    rows : sequence of ResultRow
        Results; those of no recipe's plan are left out.
    ratings : sequence of RatingRow
        Results of regressions.

    Returns
    -------
    Table
    """
    folders = sorted(
        {path.parent for path in Path(recipes).glob("*/*_prepare.py")},
        key=lambda folder: folder.name.lower(),
    )
    letters = number_marks([*rows, *ratings])
    lines = []
    for folder in folders:
        plans = recipe_plans(folder)
        link = f"[{folder.name}]({folder.name}/README.md)"
        if not plans or folder.name == "Synthetic":
            lines.append((link, *_without_task(folder, plans)))
        for plan in plans if folder.name != "Synthetic" else ():
            lines += [
                (link, plan.task, f"`{plan.protocol}`", *cells)
                + (f"`{plan.command}`",)
                for cells in _scores(plan, rows, letters)
            ]
        others = (
            *_conversation(folder, rows, letters),
            *_regression(folder, ratings, letters),
        )
        lines += [(link, *cells) for cells in others]
    header = ("corpus", "task", "protocol", "paper", "ours", "marks", "command")
    return Table(header, tuple(lines))


def _without_task(folder, plans):
    (prepare,) = folder.glob("*_prepare.py")
    if not plans:
        command = f"python {prepare.name} --data_folder DIR --manifest FILE"
        return "pre-training", *[NOTHING] * 4, f"`{command}`"
    return "no speech, tests only", *[NOTHING] * 4, f"`{plans[0].command}`"


def _scores(plan, rows, letters):
    paper = paper_row(plan.recipe, plan.protocol)
    printed = _joined(paper.scores) if paper else NOTHING
    here = [
        row
        for row in rows
        if row.corpus.split(":")[0] == plan.recipe
        and row.protocol == plan.protocol
    ]
    if not here:
        return [(printed, "no data here", NOTHING)]
    ours = "; ".join(
        f"{row.corpus.partition(': ')[2]} {row.features}".strip()
        + f": {_joined(row.pooled)}"
        for row in here
    )
    return [(printed, ours, _codes(here, letters))]


def _regression(folder, ratings, letters):
    plan = plan_of(folder, "regression.yaml")
    if plan is None:
        return []
    protocol, command = plan
    here = [
        row
        for row in ratings
        if (row.corpus, row.protocol) == (folder.name, protocol)
    ]
    ours = "; ".join(map(short_scores, here)) or "no data here"
    first = ("regression", f"`{protocol}`", NOTHING)
    return [(*first, ours, _codes(here, letters), f"`{command}`")]


def _conversation(folder, rows, letters):
    plan = plan_of(folder, "conversation.yaml")
    if plan is None:
        return []
    protocol, command = plan
    corpus = f"{folder.name} conversation, speech"
    paper = paper_row(corpus, protocol)
    printed = _joined(paper.scores, _PREDICTED) if paper else NOTHING
    here = [r for r in rows if (r.corpus, r.protocol) == (corpus, protocol)]
    ours = "; ".join(
        f"{row.features}: {_joined(row.pooled, _PREDICTED)}" for row in here
    )
    codes = _codes(here, letters)
    first = ("conversation", f"`{protocol}`", printed)
    return [(*first, ours or "no data here", codes, f"`{command}`")]


def _codes(rows, letters):
    marks = {letters[mark] for row in rows for mark in row.marks}
    return " ".join(sorted(marks)) or NOTHING


def _joined(scores, names=_SCORES):
    return " / ".join(
        f"{scores[name]:.2f}" if name in scores else NOTHING for name in names
    )


def matrix_page(recipes, rows, ratings=()):
    """The whole of ``recipes/README.md``.

    Arguments
    ---------
    recipes : str or Path
        The folder ``recipes``.
    rows : sequence of ResultRow
        Results.
    ratings : sequence of RatingRow
        Results of regressions.

    Returns
    -------
    str
    """
    table = matrix(recipes, rows, ratings)
    legend = legend_of([*rows, *ratings])
    return f"{_HEAD}{table.markdown()}\n{legend and chr(10) + legend}{_TAIL}"


def legend_of(rows):
    """What the letters of the marks stand for, one a line.

    Arguments
    ---------
    rows : sequence of ResultRow or RatingRow
        Results.

    Returns
    -------
    str
        Empty without marks.
    """
    marks = number_marks(rows)
    if not marks:
        return ""
    lines = [f"* {letter}: {mark}" for mark, letter in marks.items()]
    return "Marks:\n\n" + "\n".join(lines) + "\n"
