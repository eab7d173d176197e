"""Rounds one after the other: train, export, label the pool, train again.

A yaml says which; see ``recipes/Custom/rounds.yaml``. Each round trains on the
table of the one before it, in a process of its own; what is finished is read
again, and a training or labelling that was stopped goes on.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from speechbrain_e2v.corpora.common_labels import read_common_labels
from speechbrain_e2v.downstream.export import trained_classifier
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import (
    with_nine_tokens,
)
from speechbrain_e2v.downstream.pseudo_labels.pieces import PieceLengths
from speechbrain_e2v.downstream.pseudo_labels.round import (
    RoundSettings,
    read_parts,
    read_sentiment,
    run_round,
)
from speechbrain_e2v.downstream.pseudo_labels.table import write_table
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import BadDocument, read_json, read_yaml
from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.own_encoder import published_head
from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.load import Pretrained
from speechbrain_e2v.published.write import write_funasr

_WAY_OUT = "correct the yaml of the rounds"


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One round: what is trained, and what of its labels is believed.

    ``hparams`` is a yaml of the recipe, ``options`` go behind it. The last
    round labels nothing and needs neither threshold nor precision.
    """

    name: str
    hparams: str
    encoder: str
    options: list[str] = []
    threshold: float | None = None
    precision: float | None = None
    least: int = 10
    quota: int | None = None


class Rounds(msgspec.Struct, forbid_unknown_fields=True):
    """A chain of rounds; paths are relative to where the command is run."""

    output: str
    train: str
    valid: str
    test: str
    pool: list[str]
    rounds: list[Step]
    recipe: str = "recipes/Custom/train.py"
    label_map: str | None = None
    sentiment: str | None = None
    pieces: bool = True
    longest: float = 12.0


def read_rounds(path: str | Path) -> Rounds:
    """The yaml, checked as far as that needs no work.

    Raises ValueError naming the file and the round.
    """
    chain = read_yaml(path, Rounds, way_out=_WAY_OUT)
    names = [step.name for step in chain.rounds]
    if not names or len(set(names)) < len(names):
        raise BadDocument(
            f"{path}: the rounds are {names}; give one or more, each with a "
            f"name of its own: {_WAY_OUT}."
        )
    for step in chain.rounds[:-1]:
        try:
            _settings(chain, step)
        except ValueError as error:
            raise BadDocument(
                f"{path}: round {step.name}: {error}: {_WAY_OUT}."
            ) from None
    files = [chain.train, chain.valid, chain.test, *chain.pool, chain.recipe]
    files += [name for name in (chain.label_map, chain.sentiment) if name]
    files += [step.hparams for step in chain.rounds]
    missing = [name for name in files if not Path(name).is_file()]
    if missing:
        raise BadDocument(f"{path}: there is no {missing[0]}: {_WAY_OUT}.")
    return chain


def run_rounds(chain: Rounds, progress: bool = True) -> list[dict]:
    """All rounds; gives and writes the entries of ``rounds.json``."""
    labels = read_common_labels(chain.label_map)
    parts = read_parts(
        labels,
        [Path(name) for name in chain.pool],
        Path(chain.train),
        Path(chain.valid),
        Path(chain.test),
    )
    sentiment = chain.sentiment and read_sentiment(Path(chain.sentiment))
    output = Path(chain.output)
    table = output / "labelled"
    write_table(
        table,
        {"train": parts.train, "valid": parts.valid, "test": parts.test},
    )
    learned = [*parts.train, *parts.valid, *parts.pool]
    data_sets = sorted({u.dataset for u in learned if u.dataset})
    entries: list[dict] = []
    for step in chain.rounds:
        folder = output / step.name
        _train(training_command(chain, step, table, folder / "training"))
        trained = _exported(folder, data_sets)
        entry = {"name": step.name, **_scores(folder / "training")}
        if step is not chain.rounds[-1]:
            about = run_round(
                folder / "labels",
                {step.name: trained},
                parts,
                labels,
                _settings(chain, step),
                sentiment or None,
                progress=progress,
            )
            kept = ("kept", "kept_seconds", "pieces", "audit", "marks")
            entry |= {key: about[key] for key in kept}
            table = folder / "labels"
        entries.append(entry)
        text = json.dumps(entries, indent=1, ensure_ascii=False)
        replace_text(output / "rounds.json", text + "\n")
    return entries


def training_command(
    chain: Rounds, step: Step, table: Path, output: Path
) -> list[str]:
    """What trains a round on a table; every path absolute."""
    encoder = Path(step.encoder)  # or a name of the hub
    known = {
        "--data_folder": os.path.abspath(table),
        "--encoder": os.path.abspath(encoder) if encoder.exists() else encoder,
        "--protocol": "official",
        "--n_folds": 1,
        "--output_folder": os.path.abspath(output),
    }
    options = [str(part) for pair in known.items() for part in pair]
    return [
        os.path.abspath(chain.recipe),
        os.path.abspath(step.hparams),
        *options,
        *step.options,
    ]


def _train(command: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, *command])
    if done.returncode:
        raise ValueError(
            f"training ended with status {done.returncode}; the same command "
            "goes on once its cause is mended"
        )


def _settings(chain: Rounds, step: Step) -> RoundSettings:
    return RoundSettings(
        step.threshold,
        step.precision,
        step.least,
        step.quota,
        PieceLengths(longest=chain.longest) if chain.pieces else None,
    )


def _scores(training: Path) -> dict:
    results = read_json(training / "results.json", dict[str, Any])
    return {name: results["pooled"][name] for name in ("wa", "ua", "wf1")}


def _exported(folder: Path, data_sets: Sequence[str]) -> TrainedClassifier:
    """The round's classifier, exported once for each finished training.

    It is said to be trained on the data sets behind the table, so that tests
    on one of them are marked.
    Beside it ``funasr`` has the same under the names that are published, where
    encoder and head have that form.
    """
    results = read_json(folder / "training" / "results.json", dict[str, Any])
    trained_as = json.dumps([f["settings_sha256"] for f in results["folds"]])
    mark = folder / "exported.json"
    if mark.is_file() and mark.read_text("utf-8") == trained_as:
        return read_classifier(folder / "classifier")
    trained = with_nine_tokens(trained_classifier(folder / "training"))
    if data_sets:
        facts = trained.about["results"]
        trained.about["results"] = {**facts, "corpus": ", ".join(data_sets)}
    write_classifier(folder / "classifier", trained, overwrite=True)
    head = published_head(trained)
    encoder = trained.embedding.encoder
    if head is not None and isinstance(encoder, Emotion2vecEncoder):
        card = trained.about.get("encoder_card", {})
        model = Pretrained(encoder, card, "funasr", None, head)
        write_funasr(folder / "funasr", model)
    replace_text(mark, trained_as)
    return read_classifier(folder / "classifier")
