"""``results.json``: the scores of an experiment and all that explains them.

The same form for every task and corpus; tables are generated from it. Keys
are only ever added, so that old files stay readable. ``pooled`` scores come
from the predictions of all folds together (of one seed), averaged over seeds
where there are several; ``headline`` is these or the mean over folds.
"""

import csv
import io
import json
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import speechbrain
import torch
from speechbrain.utils.distributed import if_main_process

from speechbrain_e2v import __version__
from speechbrain_e2v.corpora.caveats import protocol_caveats
from speechbrain_e2v.corpora.prepare import completeness_caveats
from speechbrain_e2v.corpora.protocols import PROTOCOLS
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.downstream.data import (
    DownstreamData,
    without_announcements,
)
from speechbrain_e2v.downstream.provenance import commit, heard_caveats
from speechbrain_e2v.downstream.targets import Targets
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.metrics import fold_spread
from speechbrain_e2v.training.experiment import Experiment

FORMAT = 1
MEAN_OVER_FOLDS = "mean over folds"
"""As the released code and most papers average."""
POOLED = "pooled over folds"
# Predictions have a file of their own, epochs are in result.json.
_LEFT_OUT = ("test", "reference", "predicted", "posteriors", "history")


def run_folds(
    experiment: Experiment,
    data: DownstreamData,
    targets: Targets,
    about: dict,
    headline: str = MEAN_OVER_FOLDS,
) -> tuple[dict, list[dict]]:
    """Train and test in every fold: ``results.json`` and the folds behind it.

    ``about`` is what ``results.json`` says of the task: ``task``, ``corpus``,
    ``protocol`` and more; ``headline`` which of the two ways to average is the
    literature's.
    """
    hparams = experiment.hparams
    trainer = hparams[targets.trainer_key]
    with without_announcements():
        runs = cross_validate(
            trainer,
            data.store,
            targets,
            data.folds,
            hparams["seeds"],
            hparams["output_folder"],
            data.upstream.description,
            experiment.run_opts,
            progress=not experiment.run_opts.noprogressbar,
        )
    results = {
        "format": FORMAT,
        **about,
        "seeds": list(hparams["seeds"]),
        **summarise(runs, targets, data.speakers, headline),
        "folds": [
            {key: run[key] for key in run if key not in _LEFT_OUT}
            for run in runs
        ],
        targets.trainer_key: trainer.description,
        **provenance_entries(experiment, data, runs),
    }
    return results, runs


def write_run(
    folder: str | Path,
    results: dict,
    runs: list[dict],
    targets: Targets,
    speakers: Mapping[str, str | None],
    title: str,
) -> None:
    """Write ``predictions.csv``, then ``results.json``; print the table."""
    if not if_main_process():
        return
    folder = Path(folder)
    write_predictions(folder / "predictions.csv", runs, targets, speakers)
    path = write_results(folder / "results.json", results)
    print(f"\n{title}\n{score_table(results, targets)}\n{path}")


def summarise(
    runs: list[dict],
    targets: Targets,
    speakers: Mapping[str, str | None],
    headline: str = MEAN_OVER_FOLDS,
) -> dict:
    """Scores of an experiment, pooled and over folds; one is the headline.

    ``runs``, one per fold and seed, have ``fold`` (name), ``seed``, ``test``
    (ids), ``reference`` and ``predicted``.

    >>> from speechbrain_e2v.downstream.classification.targets import (
    ...     ClassTargets)
    >>> run = {"fold": "a", "seed": 1, "test": ["u", "v"],
    ...        "reference": [0, 1], "predicted": [0, 0]}
    >>> found = summarise([run], ClassTargets("xy"), {"u": "1", "v": "2"})
    >>> found["pooled"]["ua"]
    50.0
    """
    by_seed: dict[int, list[dict]] = {}
    for run in runs:
        by_seed.setdefault(run["seed"], []).append(run)
    seeds = list(by_seed.values())
    pooled = [
        targets.scores(_joined(s, "reference"), _joined(s, "predicted"))
        for s in seeds
    ]
    folds = [targets.scores(run["reference"], run["predicted"]) for run in runs]
    tested = _joined(runs, "test")
    averaged = {
        MEAN_OVER_FOLDS: {n: _mean(s[n] for s in folds) for n in folds[0]},
        POOLED: {n: _mean(s[n] for s in pooled) for n in pooled[0]},
    }
    return {
        "headline": {"is": headline, "scores": averaged[headline]},
        "pooled": averaged[POOLED],
        "interval95": targets.intervals(
            _joined(runs, "reference"),
            _joined(runs, "predicted"),
            [speakers.get(name) or name for name in tested],
        ),
        "fold_spread": _spread(folds),
        "seed_spread": _spread(pooled),
        "speaker_spread": speaker_spread(runs, targets, speakers),
        **targets.counts(seeds[0], runs),
        "n_predictions": len(tested),
    }


def speaker_spread(
    runs: list[dict], targets: Targets, speakers: Mapping[str, str | None]
) -> dict | None:
    """Each score over speakers: mean, sd, lowest and highest; and how many.

    A speaker's score is of all predictions of this voice, whatever fold and
    seed; utterances of unknown speakers are left out. ``None`` for fewer than
    two known speakers.
    """
    columns = [_joined(runs, k) for k in ("test", "reference", "predicted")]
    known = [
        (speaker, *pair)
        for name, *pair in zip(*columns, strict=True)
        if (speaker := speakers.get(name))
    ]
    if len({speaker for speaker, *_ in known}) < 2:
        return None
    voices, reference, predicted = zip(*known, strict=True)
    scores = targets.speaker_scores(reference, predicted, voices)
    return {
        "speakers": len(set(voices)),
        "scores": {name: fold_spread(each) for name, each in scores.items()},
    }


def _joined(runs: list[dict], key: str) -> list:
    return [value for run in runs for value in run[key]]


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _spread(scores: Sequence[dict]) -> dict:
    return {name: fold_spread([s[name] for s in scores]) for name in scores[0]}


def protocol_entry(experiment: Experiment, data: DownstreamData) -> dict:
    """``protocol`` of ``results.json``: what was done, and its marks."""
    hparams = experiment.hparams
    card = data.upstream.description.get("card")
    return {
        "name": hparams["protocol"],
        "description": PROTOCOLS[hparams["protocol"]].description,
        "n_folds": len(data.folds),
        "split_seed": hparams["split_seed"],
        "marks": completeness_caveats(data.manifest)
        + protocol_caveats(data.folds, data.utterances)
        + heard_caveats(card, data.corpus.name),
    }


def provenance_entries(
    experiment: Experiment, data: DownstreamData, runs: list[dict]
) -> dict:
    """Entries of ``results.json`` which say where the scores come from."""
    upstream = data.upstream
    meta = data.manifest.with_suffix(".meta.json").read_text("utf-8")
    return {
        "upstream": upstream.description,
        "upstream_digest": upstream.digest,
        "feature_layer": upstream.description.get("layer"),
        "corpus_rows_sha256": json.loads(meta)["content_sha256"],
        "command": shlex.join(map(str, experiment.command)),
        **software_entries(),
        "seconds": {
            "this_command": round(time.monotonic() - data.started, 1),
            "training": round(sum(run["seconds"] for run in runs), 1),
        },
    }


def software_entries() -> dict:
    """Entries of ``results.json`` which say what computed them."""
    return {
        "commit": commit(),
        "versions": {
            "speechbrain_e2v": __version__,
            "speechbrain": speechbrain.__version__,
            "torch": torch.__version__,
        },
    }


def write_results(path: str | Path, results: dict) -> Path:
    """Write ``results.json``, whole or not at all.

    >>> path = getfixture("tmp_path") / "results.json"
    >>> write_results(path, {"pooled": {"wa": 50.0}}).read_text()[-3:]
    '\\n}\\n'
    """
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    return replace_text(path, text + "\n")


def write_predictions(
    path: str | Path,
    runs: list[dict],
    targets: Targets,
    speakers: Mapping[str, str | None],
) -> Path:
    """Write one csv row per tested utterance, fold and seed.

    >>> from speechbrain_e2v.downstream.classification.targets import (
    ...     ClassTargets)
    >>> run = {"fold": "a", "seed": 1, "test": ["u"], "reference": [0],
    ...        "predicted": [1], "posteriors": [[0.25, 0.75]]}
    >>> path = getfixture("tmp_path") / "predictions.csv"
    >>> print(write_predictions(
    ...     path, [run], ClassTargets("xy"), {"u": "1"}).read_text())
    seed,fold,id,speaker,reference,predicted,p(x),p(y)
    1,a,u,1,x,y,0.25,0.75
    <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["seed", "fold", "id", "speaker", *targets.columns()])
    for run in runs:
        for name, cells in zip(run["test"], targets.rows(run), strict=True):
            about = [run["seed"], run["fold"], name, speakers.get(name, "")]
            writer.writerow(about + cells)
    return replace_text(path, text.getvalue())


def score_table(results: dict, targets: Targets) -> str:
    """The scores of :func:`summarise` as a table for the terminal.

    >>> from speechbrain_e2v.downstream.classification.targets import (
    ...     ClassTargets)
    >>> run = {"fold": "a", "seed": 1, "test": ["u", "v"],
    ...        "reference": [0, 1], "predicted": [0, 0]}
    >>> targets = ClassTargets("xy")
    >>> scores = summarise([run], targets, {"u": "1", "v": "2"})
    >>> print(score_table(scores, targets).splitlines()[1])
    WA          50.00   50.00 +- 0.00  (50.00 to 50.00)         0.0 to 100.0
    """
    titles = {n: n.upper().replace("_", "-") for n in results["pooled"]}
    width = 1 + max(map(len, titles.values()))
    lines = [
        f"{'':{width}}{'pooled':>8}   "
        f"{'folds: mean +- sd (lowest to highest)':<40}"
        "95 % over speakers (of pooled)"
    ]
    for name, title in titles.items():
        digits = targets.decimals(name)
        spread = {
            key: f"{value:.{digits}f}"
            for key, value in results["fold_spread"][name].items()
        }
        folds = (
            f"{spread['mean']} +- {spread['sd']}"
            f"  ({spread['min']} to {spread['max']})"
        )
        speakers = "one speaker only"
        if name in (results["interval95"] or {}):
            low, high = results["interval95"][name]
            digits_of_ends = 1 if digits == 2 else digits
            speakers = f"{low:.{digits_of_ends}f} to {high:.{digits_of_ends}f}"
        pooled = f"{results['pooled'][name]:.{digits}f}"
        lines.append(f"{title:{width}}{pooled:>8}   {folds:<40}{speakers}")
    if results["speaker_spread"] is not None:
        lines.append(_speaker_line(results["speaker_spread"], targets))
    return "\n".join([*lines, *targets.detail_lines(results)])


def _speaker_line(spread: Mapping, targets: Targets) -> str:
    name, each = next(iter(spread["scores"].items()))
    digits = targets.decimals(name)
    mean, sd, low, high = (
        f"{each[key]:.{digits}f}" for key in ("mean", "sd", "min", "max")
    )
    return (
        f"{spread['speakers']} speakers: {name.upper()} {mean} +- {sd}  "
        f"({low} to {high})"
    )
