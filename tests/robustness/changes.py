"""Inputs that change between two runs in one folder.

The second run either says no in a line and leaves what is there, or ends as a
run on the changed input in a new folder does.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from robustness.commands import Command, alike, contents, said, unfinished
from robustness.trial import Verdict, try_command
from unit.inference.tiny import noise, tiny_encoder, tiny_trained

from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.inference.feature_store import FeatureStore
from speechbrain_e2v.published.encoder_folder import save_encoder

FRAMES = "frames.npy"
Change = Callable[[Path], None]
CORPORA = ("project/corpus", "corpora/calls")
FOLDERS = ("speech", *CORPORA)


def replaced(here: Path) -> None:
    """Another recording of the same length under the same name."""
    for folder in FOLDERS:
        path = sorted((here / folder).glob("*.wav"))[0]
        samples = soundfile.info(path).frames
        soundfile.write(path, noise(samples, 77), 16000)


def longer(here: Path) -> None:
    """A recording goes on."""
    for folder in FOLDERS:
        path = sorted((here / folder).glob("*.wav"))[0]
        wave, rate = soundfile.read(path, dtype="float32")
        soundfile.write(path, np.concatenate([wave, wave]), rate)


def touched(here: Path) -> None:
    """Other times, the same content."""
    for folder in FOLDERS:
        for path in sorted((here / folder).iterdir()):
            path.touch()


def added(here: Path) -> None:
    """A recording more."""
    for folder in FOLDERS:
        soundfile.write(here / folder / "zz.wav", noise(9000, 55), 16000)
    for corpus in CORPORA:
        with open(here / corpus / "labels.csv", "a") as file:
            file.write("zz.wav,x,0\n")


def relabelled(here: Path) -> None:
    """An utterance of another class."""
    for corpus in CORPORA:
        path = here / corpus / "labels.csv"
        path.write_text(path.read_text().replace("u01.wav,y", "u01.wav,x"))


def shrunken(here: Path) -> None:
    """A manifest with an utterance less."""
    path = here / "speech.json"
    entries = json.loads(path.read_text())
    del entries[min(entries)]
    path.write_text(json.dumps(entries))


def other_models(here: Path) -> None:
    """Other weights where the encoder and the classifier were."""
    for name in ("encoder", "classifier"):
        shutil.rmtree(here / name)
    encoder = tiny_encoder(seed=3)
    save_encoder(here / "encoder", encoder, {"pretraining": {}})
    write_classifier(here / "classifier", tiny_trained(temperature=3.0))


CHANGES: tuple[Change, ...] = (
    replaced,
    longer,
    touched,
    added,
    relabelled,
    shrunken,
    other_models,
)
SETTINGS = {
    "extract_npy": [("--layer", "all"), ("--granularity", "utterance")],
    "extract_store": [("--layer", "0"), ("--pad_short",)],
    "timeline": [("--window", "0.4")],
    "pretraining": [("--lr=0.01",), ("--seed=5",), ("--embed_dim=32",)],
    "probe": [("--seeds=[3]",), ("--split_seed=1",), ("--layer=0",)],
    "reproduce": [("--floors", "prior")],
}
"""Options that change what comes out, by command."""


def try_changes(
    command: Command, workspace: Path, place: Path
) -> tuple[Counter, list[str]]:
    """Run, change an input or an option, and run again in the same folder."""
    counts: Counter = Counter()
    faults: list[str] = []
    cases: list[tuple[str, Change | None, tuple[str, ...]]]
    cases = [(change.__name__, change, ()) for change in CHANGES]
    for options in SETTINGS.get(command.name, []):
        cases.append((" ".join(options), None, options))
    # Names of places are inputs, too: every run is made in this one, and what
    # the first left is put back.
    first, kept = place / "first", place / "kept"
    shutil.copytree(workspace, first / "here")
    begun = _run(command, first, place)
    if begun.status:
        return counts, [f"{command.name}: {begun.output[-300:]}"]
    first.rename(kept)
    before = results(kept / "out")
    for name, change, options in cases:
        shutil.rmtree(first, ignore_errors=True)
        shutil.copytree(kept, first)
        if change:
            change(first / "here")
        changed = command._replace(words=(*command.words, *options))
        again = _run(changed, first, place)._replace(seconds=0)  # training
        found = results(first / "out")
        case = f"{command.name}, {name}"
        counts["changed"] += 1
        if again.fault:
            faults.append(f"{case}: {again.fault}: {again.output[-200:]}")
        elif left := unfinished(first / "out"):
            faults.append(f"{case}: left {left}")
        elif again.status:
            counts["refused"] += 1
            kept_all = found.keys() == before.keys() and all(
                alike(found[key], before[key]) for key in before
            )
            if len(said(again.output)) != 1 or not kept_all:
                faults.append(f"{case}: refused, {said(again.output)[-3:]}")
        else:
            shutil.rmtree(first / "out")
            alone = _run(changed, first, place)
            expected = results(first / "out")
            differ = {
                k for k in expected if not alike(found.get(k), expected[k])
            }
            if alone.status:
                faults.append(f"{case}: accepted, and refused when alone")
            elif differ:
                faults.append(f"{case}: differs in {sorted(differ)}")
    return counts, faults


def results(out: Path) -> dict[str, Any]:
    """Digest of each file; of features, the values and source of each clip."""
    found: dict[str, Any] = dict(contents(out))
    if "index.json" not in found:
        return found
    index = json.loads((out / "index.json").read_text())
    store = FeatureStore(out) if FRAMES in found else None
    for name, source in zip(index["ids"], index["content"], strict=True):
        found[f"source of {name}"] = source
        found[f"clip {name}"] = np.array(
            store.utterance(name) if store else np.load(out / f"{name}.npy")
        )
        found.pop(f"{name}.npy", None)
    # Old clips keep their place in it.
    return {k: v for k, v in found.items() if k not in ("index.json", FRAMES)}


def _run(command: Command, first: Path, place: Path) -> Verdict:
    return try_command(
        lambda: command.run(first / "out", first / "here"), place / "log"
    )
