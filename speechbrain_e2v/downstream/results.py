"""``results.json``: the scores of an experiment and all that explains them.

The same form for every task and corpus; tables are generated from it. Scores
are percent. ``pooled`` scores come from the predictions of all folds together
(of one seed), averaged over seeds where there are several.
"""

import csv
import io
import json

import numpy as np

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.metrics import (
    SCORES,
    all_scores,
    confusion_matrix,
    fold_spread,
    speaker_intervals,
)

FORMAT = 1


def summarise(runs, classes, speakers):
    """Scores of an experiment.

    Arguments
    ---------
    runs : sequence of dict
        One per fold and seed: ``fold`` (name), ``seed``, ``test`` (ids),
        ``reference`` and ``predicted`` (class indices).
    classes : sequence of str
        Class names in order.
    speakers : dict of str to str
        Speaker of each utterance id.

    Returns
    -------
    dict
        ``pooled``, ``interval95``, ``fold_spread``, ``seed_spread``,
        ``confusion`` (summed over seeds), ``counts``, ``n_predictions``.

    Example
    -------
    >>> run = {"fold": "a", "seed": 1, "test": ["u", "v"],
    ...        "reference": [0, 1], "predicted": [0, 0]}
    >>> summarise([run], ("x", "y"), {"u": "1", "v": "2"})["pooled"]["ua"]
    50.0
    """
    by_seed = {}
    for run in runs:
        by_seed.setdefault(run["seed"], []).append(run)
    pooled = [
        all_scores(_joined(group, "reference"), _joined(group, "predicted"))
        for group in by_seed.values()
    ]
    folds = [all_scores(run["reference"], run["predicted"]) for run in runs]
    reference = _joined(runs, "reference")
    predicted = _joined(runs, "predicted")
    tested = _joined(runs, "test")
    confusion = confusion_matrix(reference, predicted, len(classes))
    first = next(iter(by_seed.values()))
    counts = np.bincount(_joined(first, "reference"), minlength=len(classes))
    return {
        "pooled": {n: _mean(scores[n] for scores in pooled) for n in SCORES},
        "interval95": speaker_intervals(
            reference,
            predicted,
            [speakers.get(name) or name for name in tested],
            len(classes),
        ),
        "fold_spread": {n: fold_spread([s[n] for s in folds]) for n in SCORES},
        "seed_spread": {n: fold_spread([s[n] for s in pooled]) for n in SCORES},
        "confusion": confusion.tolist(),
        "counts": {
            name: int(count)
            for name, count in zip(classes, counts, strict=True)
        },
        "n_predictions": len(tested),
    }


def _joined(runs, key):
    return [value for run in runs for value in run[key]]


def _mean(values):
    return float(np.mean(list(values)))


def write_results(path, results):
    """Write ``results.json``, whole or not at all.

    Example
    -------
    >>> path = getfixture("tmp_path") / "results.json"
    >>> write_results(path, {"pooled": {"wa": 50.0}}).read_text()[-3:]
    '\\n}\\n'
    """
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    return replace_text(path, text + "\n")


def write_predictions(path, runs, classes, speakers):
    """Write one csv row per tested utterance, fold and seed.

    Arguments
    ---------
    path : str or Path
        ``predictions.csv``.
    runs : sequence of dict
        As for :func:`summarise`, with ``posteriors`` [N][C].
    classes : sequence of str
        Class names in order.
    speakers : dict of str to str
        Speaker of each utterance id.

    Example
    -------
    >>> run = {"fold": "a", "seed": 1, "test": ["u"], "reference": [0],
    ...        "predicted": [1], "posteriors": [[0.25, 0.75]]}
    >>> path = getfixture("tmp_path") / "predictions.csv"
    >>> print(write_predictions(path, [run], "xy", {"u": "1"}).read_text())
    seed,fold,id,speaker,reference,predicted,p(x),p(y)
    1,a,u,1,x,y,0.25,0.75
    <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["seed", "fold", "id", "speaker", "reference", "predicted"]
        + [f"p({name})" for name in classes]
    )
    for run in runs:
        for name, reference, predicted, posterior in zip(
            run["test"],
            run["reference"],
            run["predicted"],
            run["posteriors"],
            strict=True,
        ):
            writer.writerow(
                [run["seed"], run["fold"], name, speakers.get(name, "")]
                + [classes[reference], classes[predicted]]
                + [round(p, 6) for p in posterior]
            )
    return replace_text(path, text.getvalue())


def score_table(results):
    """The scores as a table for the terminal.

    Arguments
    ---------
    results : dict
        With the entries of :func:`summarise`.

    Returns
    -------
    str

    Example
    -------
    >>> run = {"fold": "a", "seed": 1, "test": ["u", "v"],
    ...        "reference": [0, 1], "predicted": [0, 0]}
    >>> scores = summarise([run], "xy", {"u": "1", "v": "2"})
    >>> print(score_table(scores).splitlines()[1])
    WA          50.00   50.00 +- 0.00  (50.00 to 50.00)         0.0 to 100.0
    """
    lines = [
        f"{'':9}{'pooled':>8}   {'folds: mean +- sd (lowest to highest)':<40}"
        "95 % over speakers"
    ]
    for name in SCORES:
        spread = results["fold_spread"][name]
        folds = (
            f"{spread['mean']:.2f} +- {spread['sd']:.2f}"
            f"  ({spread['min']:.2f} to {spread['max']:.2f})"
        )
        interval = results["interval95"]
        speakers = "one speaker only"
        if interval is not None:
            low, high = interval[name]
            speakers = f"{low:.1f} to {high:.1f}"
        title = name.upper().replace("_", "-")
        lines.append(
            f"{title:9}{results['pooled'][name]:>8.2f}   {folds:<40}{speakers}"
        )
    return "\n".join(lines)
