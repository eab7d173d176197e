"""Scores of a regression in ``results.json``, and its tables.

As in :mod:`speechbrain_e2v.downstream.results`: ``pooled`` scores come from the
predictions of all folds together (of one seed), averaged over seeds. Scores
of one target are called ``<score>_<target>``; ``ccc``, ``pearson`` and
``mae`` alone are means over the targets.
"""

import csv
import io

import numpy as np

from speechbrain_e2v.downstream.regression.intervals import rating_intervals
from speechbrain_e2v.downstream.regression.metrics import CORRELATIONS
from speechbrain_e2v.downstream.regression.sentiment_metrics import (
    target_scores,
)
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.metrics import fold_spread


def rating_scores(reference, predicted, scales):
    """Every score of every target, and means over the targets.

    Arguments
    ---------
    reference, predicted : array of float
        [N, n], targets in the order of ``scales``.
    scales : mapping of str to tuple of float
        Lowest and highest rating by name.

    Returns
    -------
    dict of str to float

    Example
    -------
    >>> scores = rating_scores([[1.0, 2.0], [3.0, 2.0]],
    ...     [[1.0, 2.0], [3.0, 3.0]], {"arousal": (1, 5), "valence": (1, 5)})
    >>> scores["ccc"], scores["ccc_arousal"], scores["mae_valence"]
    (0.5, 1.0, 0.5)
    """
    reference, predicted = np.asarray(reference), np.asarray(predicted)
    each = {
        name: target_scores(reference[:, i], predicted[:, i], scale)
        for i, (name, scale) in enumerate(scales.items())
    }
    means = {
        score: float(np.mean([scores[score] for scores in each.values()]))
        for score in CORRELATIONS
    }
    return means | {
        f"{score}_{name}": value
        for name, scores in each.items()
        for score, value in scores.items()
    }


def summarise_ratings(runs, scales, speakers):
    """Scores of an experiment.

    Arguments
    ---------
    runs : sequence of dict
        One per fold and seed: ``fold`` (name), ``seed``, ``test`` (ids),
        ``reference`` and ``predicted`` ([N][n]).
    scales : mapping of str to tuple of float
        Lowest and highest rating by name.
    speakers : dict of str to str
        Speaker of each utterance id.

    Returns
    -------
    dict
        ``pooled``, ``interval95`` (over speakers), ``fold_spread``,
        ``seed_spread``, ``references`` (mean and deviation by target),
        ``n_tested``, ``n_predictions``.

    Example
    -------
    >>> run = {"fold": "a", "seed": 1, "test": ["u", "v"],
    ...        "reference": [[1.0], [3.0]], "predicted": [[1.0], [3.0]]}
    >>> found = summarise_ratings([run], {"arousal": (1, 5)}, {})
    >>> found["pooled"]["ccc"], found["references"]["arousal"]["mean"]
    (1.0, 2.0)
    """
    by_seed = {}
    for run in runs:
        by_seed.setdefault(run["seed"], []).append(run)
    pooled = [
        rating_scores(
            _joined(group, "reference"), _joined(group, "predicted"), scales
        )
        for group in by_seed.values()
    ]
    folds = [
        rating_scores(run["reference"], run["predicted"], scales)
        for run in runs
    ]
    tested = _joined(runs, "test")
    first = np.asarray(_joined(next(iter(by_seed.values())), "reference"))
    return {
        "pooled": {
            name: float(np.mean([scores[name] for scores in pooled]))
            for name in pooled[0]
        },
        "interval95": rating_intervals(
            np.asarray(_joined(runs, "reference")),
            np.asarray(_joined(runs, "predicted")),
            [speakers.get(name) or name for name in tested],
            scales,
        ),
        "fold_spread": {
            n: fold_spread([s[n] for s in folds]) for n in folds[0]
        },
        "seed_spread": {
            n: fold_spread([s[n] for s in pooled]) for n in pooled[0]
        },
        "references": {
            name: {
                "mean": float(first[:, i].mean()),
                "sd": float(first[:, i].std()),
            }
            for i, name in enumerate(scales)
        },
        "n_tested": len(first),
        "n_predictions": len(tested),
    }


def _joined(runs, key):
    return [value for run in runs for value in run[key]]


def write_rating_predictions(path, runs, names, speakers):
    """Write one csv row per tested utterance, fold and seed.

    Arguments
    ---------
    path : str or Path
        ``predictions.csv``.
    runs : sequence of dict
        As for :func:`summarise_ratings`.
    names : sequence of str
        Of the targets.
    speakers : dict of str to str
        Speaker of each utterance id.

    Example
    -------
    >>> run = {"fold": "a", "seed": 1, "test": ["u"],
    ...        "reference": [[2.0]], "predicted": [[2.25]]}
    >>> path = getfixture("tmp_path") / "predictions.csv"
    >>> print(write_rating_predictions(path, [run], ["x"], {}).read_text())
    seed,fold,id,speaker,reference(x),predicted(x)
    1,a,u,,2.0,2.25
    <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["seed", "fold", "id", "speaker"]
        + [f"{kind}({n})" for n in names for kind in ("reference", "predicted")]
    )
    for run in runs:
        for name, reference, predicted in zip(
            run["test"], run["reference"], run["predicted"], strict=True
        ):
            pairs = zip(reference, predicted, strict=True)
            writer.writerow(
                [run["seed"], run["fold"], name, speakers.get(name, "")]
                + [round(value, 6) for pair in pairs for value in pair]
            )
    return replace_text(path, text.getvalue())


def rating_table(results):
    """The scores as a table for the terminal.

    Arguments
    ---------
    results : dict
        With the entries of :func:`summarise_ratings`.

    Returns
    -------
    str

    Example
    -------
    >>> run = {"fold": "a", "seed": 1, "test": ["u", "v"],
    ...        "reference": [[1.0], [3.0]], "predicted": [[1.0], [3.0]]}
    >>> scores = summarise_ratings([run], {"arousal": (1, 5)}, {})
    >>> rating_table(scores).splitlines()[1].split()[:4]
    ['CCC', '1.000', '1.000', '+-']
    """
    lines = [
        f"{'':24}{'pooled':>8}   {'folds: mean +- sd (lowest to highest)':<40}"
        "95 % over speakers"
    ]
    for name, value in results["pooled"].items():
        spread = results["fold_spread"][name]
        digits = decimals(name)
        folds = (
            f"{spread['mean']:.{digits}f} +- {spread['sd']:.{digits}f}"
            f"  ({spread['min']:.{digits}f} to {spread['max']:.{digits}f})"
        )
        interval = (results["interval95"] or {}).get(name)
        speakers = "one speaker only"
        if interval is not None:
            low, high = interval
            speakers = f"{low:.{digits}f} to {high:.{digits}f}"
        lines.append(
            f"{name.upper().replace('_', ' '):24}{value:>8.{digits}f}   "
            f"{folds:<40}{speakers}"
        )
    return "\n".join(lines)


def decimals(name):
    """Digits to show: correlations and errors three, percentages two.

    Example
    -------
    >>> decimals("ccc_arousal"), decimals("acc7_sentiment")
    (3, 2)
    """
    return 3 if name.split("_")[0] in CORRELATIONS else 2
