#!/usr/bin/env python3
"""How much of the missing labels pseudo-labels replace.

A tenth of the labels (two thirds train, one third validates), the others
unlabelled; whole speakers are the test part. A logistic regression on frozen
features is trained on the tenth, on the tenth and what it believes of its own
labels, and on all labels, with the same validation. Each seed draws speakers
and the tenth anew. Classes are the nine of emotion2vec+.

> python benchmarks/pseudo_labels.py --manifests a.json b.json
      --encoder FOLDER --output results/pseudo_labels
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from speechbrain_e2v.corpora.common_labels import read_common_labels
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.pseudo_labels.acceptance import (
    Acceptance,
    Opinions,
    calibrated_thresholds,
)
from speechbrain_e2v.downstream.pseudo_labels.audit import audit
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import (
    NINE,
    codes,
    labelled_in_nine,
)
from speechbrain_e2v.downstream.upstreams.encoder import trained_encoder
from speechbrain_e2v.downstream.upstreams.mfcc import MfccStatistics
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.inference.feature_store import FeatureStore
from speechbrain_e2v.metrics import unweighted_accuracy, weighted_accuracy


def main(argv: list[str] | None = None) -> None:
    """Run every seed, print the means and write ``pseudo_labels.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", nargs="+", required=True)
    parser.add_argument("--encoder", help="default: statistics of MFCCs")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    rule = parser.add_mutually_exclusive_group(required=True)
    rule.add_argument("--threshold", type=float, help="least confidence")
    rule.add_argument("--precision", type=float, help="on validation")
    parser.add_argument("--least", type=int, default=5)
    parser.add_argument("--quota", type=int)
    options = parser.parse_args(argv)
    rows = [u for path in options.manifests for u in read_manifest(path)]
    utterances = labelled_in_nine(rows, read_common_labels())
    store = cached_features(
        options.output / "features",
        trained_encoder(options.encoder)
        if options.encoder
        else MfccStatistics(),
        utterances,
    )
    runs = [
        one_seed(seed, utterances, store, options)
        for seed in range(options.seeds)
    ]
    found = {**vars(options), "output": str(options.output), "runs": runs}
    found["means"] = means(runs)
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1) + "\n"
    replace_text(options.output / "pseudo_labels.json", text)
    print(json.dumps(found["means"], indent=1))


def one_seed(
    seed: int,
    utterances: list[Utterance],
    store: FeatureStore,
    options: argparse.Namespace,
) -> dict:
    """Scores of the three trainings on one draw, and the audits."""
    test, train, valid, pool = drawn_parts(seed, utterances)
    truth = {
        u.id: c for u, c in zip(utterances, codes(utterances), strict=True)
    }
    names = [[u.id for u in part] for part in (train, valid, pool, test)]
    fold_of = {"tenth": names[0], "all": names[0] + names[2]}
    tenth = fitted(store, truth, fold_of["tenth"], names[1], sum(names[1:], []))
    rows = np.split(tenth, np.cumsum([len(part) for part in names[1:3]]))
    known, unknown, tested = map(torch.from_numpy, rows)
    thresholds: dict[str, float | None]
    thresholds = dict.fromkeys(NINE, options.threshold)
    if options.precision is not None:
        opinions = Opinions(names[1], [known])
        right = [truth[name] for name in names[1]]
        thresholds = calibrated_thresholds(
            opinions, right, options.precision, options.least
        )
    judged = Acceptance(thresholds, options.quota).judge(
        Opinions(names[2], [unknown])
    )
    checked = Acceptance(thresholds).judge(Opinions(names[3], [tested]))
    kept = {j.id: NINE.index(j.label) for j in judged if j.kept}
    pseudo = fitted(
        store, {**truth, **kept}, names[0] + sorted(kept), names[1], names[3]
    )
    whole = fitted(store, truth, fold_of["all"], names[1], names[3])
    reference = [truth[name] for name in names[3]]
    outputs = {"tenth": rows[2], "pseudo": pseudo, "all": whole}
    return {
        "seed": seed,
        "counts": [len(part) for part in names],
        "kept": len(kept),
        # what no user could know, and the audit that stands for it
        "precision": audit(judged, pool)["precision"],
        "audited": audit(checked, test)["precision"],
        "scores": {
            name: {
                "wa": weighted_accuracy(reference, table.argmax(axis=1)),
                "ua": unweighted_accuracy(reference, table.argmax(axis=1)),
            }
            for name, table in outputs.items()
        },
    }


def drawn_parts(
    seed: int, utterances: list[Utterance]
) -> tuple[list[Utterance], ...]:
    """Test (a quarter of each data set's speakers), train, valid, pool."""
    generator = np.random.default_rng(seed)
    held: set[tuple[str, str]] = set()
    for data_set in sorted({u.dataset for u in utterances}):
        speakers = sorted({u.spk for u in utterances if u.dataset == data_set})
        chosen = generator.permutation(speakers)[: max(1, len(speakers) // 4)]
        held |= {(data_set, str(name)) for name in chosen}
    test = [u for u in utterances if (u.dataset, u.spk) in held]
    rest = [u for u in utterances if (u.dataset, u.spk) not in held]
    order = [rest[i] for i in generator.permutation(len(rest))]
    labelled = len(order) // 10
    third = labelled // 3
    return test, order[third:labelled], order[:third], order[labelled:]


def fitted(
    store: FeatureStore,
    truth: dict[str, int],
    train: list[str],
    valid: list[str],
    test: list[str],
) -> np.ndarray:
    """Posteriors [N, 9] of what was not trained on, float64."""
    fold = Fold("x", tuple(train), tuple(valid), tuple(test))
    result = LogisticTrainer().fit(
        store, truth, fold, len(NINE), 1, None, lambda: None
    )
    return result.outputs.double().numpy()


def means(runs: list[dict]) -> dict:
    """Over seeds; the share of the gap is of the means, and by bootstrap."""
    scores = np.array(
        [
            [
                [run["scores"][name][score] for name in run["scores"]]
                for score in ("wa", "ua")
            ]
            for run in runs
        ]
    )  # [R, 2, 3]
    generator = np.random.default_rng(0)
    draws = scores[generator.integers(len(runs), size=(2000, len(runs)))]
    found: dict = {
        key: float(np.mean([run[key] for run in runs if run[key] is not None]))
        for key in ("kept", "precision", "audited")
    }
    for index, score in enumerate(("wa", "ua")):
        mean = scores[:, index].mean(axis=0)
        drawn = draws[:, :, index].mean(axis=1)
        share = (drawn[:, 1] - drawn[:, 0]) / (drawn[:, 2] - drawn[:, 0])
        found[score] = {
            **dict(zip(runs[0]["scores"], mean.tolist(), strict=True)),
            "pseudo_better_in": int(
                (scores[:, index, 1] > scores[:, index, 0]).sum()
            ),
            "gap_recovered": float((mean[1] - mean[0]) / (mean[2] - mean[0])),
            "gap_recovered_95": np.percentile(share, [2.5, 97.5]).tolist(),
        }
    return found


if __name__ == "__main__":
    main()
