"""Every kind of probe, exported: posteriors of the run on its own clips."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
from robustness.corpora import HANGING, Recipe
from robustness.trial import try_command

from speechbrain_e2v import cli
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.downstream.cross_validation import read_fold
from speechbrain_e2v.inference import EmotionClassifier
from speechbrain_e2v.published.load import load_pretrained

TOLERANCE = 1e-5


def kinds(layers: int) -> dict[str, tuple[str, ...]]:
    """Name of a probe's yaml with options, for an encoder of so many layers."""
    several = str(list(range(-min(4, layers), 0)))
    found = {
        f"{probe} {layer}": (probe, "--layer", layer)
        for probe in ("linear", "utterance", "logistic")
        for layer in ("0", "last", several, "all")
    }
    if layers >= 4:
        found["linear mean_last_4"] = ("linear", "--layer", "mean_last_4")
    found["weighted"] = ("weighted",)
    return found


def try_exports(recipe: Recipe, place: Path) -> tuple[Counter, list[str]]:
    """Train briefly, export, classify the files of the test part."""
    counts: Counter = Counter()
    faults: list[str] = []
    out = place / "new" / "out"
    layers = load_pretrained(recipe.encoder)[0].num_layers
    for case, (probe, *options) in kinds(layers).items():
        shutil.rmtree(out / "run", ignore_errors=True)
        shutil.rmtree(out / "classifier", ignore_errors=True)
        if probe != "logistic":
            options += ["--number_of_epochs", "2"]
        asked = recipe._replace(probe=probe, options=tuple(options))
        for step in (asked.run, exported):
            verdict = try_command(lambda s=step: s(out), place / "log", HANGING)
            if verdict.status:
                faults.append(f"{recipe.name}, {case}: {verdict.output[-300:]}")
                break
        else:
            counts["clips compared"] += int(verdict.output.split()[-1])
        counts["tried"] += 1
    return counts, faults


def exported(out: Path) -> int:
    """Export and compare; the last word said is how many clips there were."""
    run, folder = out / "run", out / "classifier"
    command = ["export", str(run), str(folder), "--overwrite"]
    status = cli.main([*command, "--no_calibration"])
    if status:
        return status
    classifier = EmotionClassifier.from_pretrained(folder, device="cpu")
    fold = json.loads((folder / "classifier.json").read_text())["fold"]
    path = run / "folds" / f"{fold['number']:02d}" / f"seed{fold['seed']}"
    recorded = read_fold(path / "result.json")
    files = {u.id: u.wav for u in read_manifest(run / "manifest" / "all.json")}
    clips = [files[name] for name in recorded["test"]]

    def scores() -> np.ndarray:
        said = classifier.classify(clips)
        return np.array([list(p.scores.values()) for p in said])

    found = scores()
    gap = float(np.abs(found - recorded["posteriors"]).max())
    if not gap <= TOLERANCE:
        print(f"posteriors differ by {gap:.2g}")
        return 1
    status = cli.main(command)
    classifier = EmotionClassifier.from_pretrained(folder, device="cpu")
    # A temperature moves scores, not their order; equal ones have none.
    moved = scores().argmax(1) != found.argmax(1)
    ordered = np.sort(found, axis=1)
    if (moved & (ordered[:, -1] - ordered[:, -2] > 2 * TOLERANCE)).any():
        print("the temperature changes a label")
        return 1
    print(len(clips))
    return status
