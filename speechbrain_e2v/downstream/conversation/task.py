"""The task of ``conversation.yaml``: the emotion of the next turn.

From the turns before it, emotion2vec section 5.4. A yaml asks for it by

``task: !new:speechbrain_e2v.downstream.conversation.task.Conversation``
"""

import time
from pathlib import Path
from typing import Any

from speechbrain_e2v.console import one_line_errors
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import prepare
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.downstream.classification.task import run_classifier
from speechbrain_e2v.downstream.conversation.batches import SampleTensors
from speechbrain_e2v.downstream.conversation.inputs import (
    LoadedInputs,
    chosen_sources,
)
from speechbrain_e2v.downstream.conversation.samples import (
    Sample,
    conversation_caveats,
    sample_counts,
    samples_of,
)
from speechbrain_e2v.downstream.data import (
    KEYS,
    OPTIONAL_KEYS,
    DownstreamData,
    checked_device,
    require_learning,
)
from speechbrain_e2v.downstream.results import POOLED, protocol_entry
from speechbrain_e2v.training.experiment import Experiment

_OPTIONS = ("context_turns", "min_context_turns", "target_utterance")


class Conversation:
    """Every fold and seed of emotion prediction in conversation."""

    keys = (
        *(key for key in KEYS if key != "upstream"),
        "feature_cache",
        *_OPTIONS,
        "inputs",
        "sources",
        "classifier",
    )

    def run(self, corpus: Corpus, experiment: Experiment) -> dict:
        """Run the experiment; writes and gives ``results.json``.

        The corpus has ``conversation``.
        """
        with one_line_errors():
            data, samples, counts = _prepare_data(corpus, experiment, self.keys)
            network = experiment.hparams["classifier"].description["network"]
            protocol = protocol_entry(experiment, data)
            protocol["marks"] += conversation_caveats(data.folds, samples)
            protocol["marks"] += _other_network(network)
            modality = data.upstream.modality
            about = {
                "task": "emotion prediction in conversation",
                "corpus": f"{data.corpus.name} conversation, {modality}",
                "protocol": protocol,
                "conversation": counts,
            }
            return run_classifier(experiment, data, about, _title, POOLED)


def _prepare_data(
    corpus: Corpus, experiment: Experiment, keys: tuple[str, ...]
) -> tuple[DownstreamData, list[Sample], dict]:
    started = time.monotonic()
    hparams = experiment.hparams
    device = checked_device(experiment, keys)
    sources = _sources(hparams)
    if corpus.conversation is None:
        raise ValueError(
            f"{corpus.name}: its recipe knows no dialogues; there are some of "
            "IEMOCAP and MELD"
        )
    corpus = corpus.conversation.as_asked(
        *(hparams.get(key) for key in OPTIONAL_KEYS)
    )
    experiment.make_folder()
    manifest = prepare(
        corpus,
        hparams["data_folder"],
        Path(hparams["output_folder"]) / "manifest",
        strict_counts=hparams["strict_counts"],
    )
    utterances = read_manifest(manifest)
    options = {name: hparams[name] for name in _OPTIONS}
    samples = samples_of(utterances, corpus.classes, **options)
    about = {
        **options,
        **sample_counts(utterances, samples, corpus.classes),
        "published_per_class": dict(corpus.published_samples),
    }
    print(counts_table(about))
    targets = [sample.target for sample in samples]
    folds = make_folds(
        hparams["protocol"],
        targets,
        hparams["n_folds"],
        hparams["split_seed"],
    )
    require_learning(hparams["classifier"], folds, targets)
    inputs = LoadedInputs(
        {
            modality: source.load(utterances, hparams["feature_cache"], device)
            for modality, source in sources.items()
        }
    )
    store = SampleTensors(utterances, samples, inputs.loaded.values())
    data = DownstreamData(
        corpus, manifest, targets, folds, store, inputs, started
    )
    return data, samples, about


def _sources(hparams: dict) -> dict[str, Any]:
    sources = chosen_sources(hparams["inputs"], hparams["sources"])
    speech = hparams["sources"].get("speech")
    if speech in sources.values() and hparams.get("encoder", "") is None:
        raise ValueError(
            "encoder is not given; add --encoder FOLDER, or choose --inputs "
            "vectors, bert or pieces"
        )
    return sources


def counts_table(about: dict) -> str:
    """Samples beside the published ones, for the terminal.

    >>> print(counts_table({
    ...     "dialogues": 2, "utterances": 30, "single_utterance_turns": 10,
    ...     "multi_utterance_turns": 8, "samples": 5,
    ...     "per_class": {"sad": 5}, "published_per_class": {"sad": 7}}))
    2 dialogues, 30 utterances; turns of one utterance 10, of several 8
    samples         here    published
    sad                5            7
    all                5            7
    """
    published = about["published_per_class"]
    rows = [("samples", "here", "published")]
    rows += [
        (name, count, published.get(name, "-"))
        for name, count in about["per_class"].items()
    ]
    rows.append(("all", about["samples"], sum(published.values()) or "-"))
    lines = [
        f"{about['dialogues']} dialogues, {about['utterances']} utterances; "
        f"turns of one utterance {about['single_utterance_turns']}, of "
        f"several {about['multi_utterance_turns']}"
    ]
    lines += [f"{a:<10} {b!s:>9} {c!s:>12}" for a, b, c in rows]
    return "\n".join(lines)


def _other_network(network: dict) -> list[str]:
    """The paper's numbers are of the routed network, read forwards."""
    usual = network.get("cell", "gru") == "gru"
    usual = usual and not network.get("bidirectional")
    if network["name"] == "RoutedNetwork" and usual:
        return []
    names = [network["name"]]
    names += ["LSTM"] if network.get("cell") == "lstm" else []
    names += ["bidirectional"] if network.get("bidirectional") else []
    return [f"another network than the paper's: {', '.join(names)}"]


def _title(results: dict) -> str:
    protocol, headline = results["protocol"], results["headline"]
    pooled = headline["scores"]
    return (
        f"{results['corpus']}, {protocol['name']}: UAR {pooled['ua']:.2f}  "
        f"MacroF1 {pooled['macro_f1']:.2f}  ({headline['is']})\n"
        f"{results['upstream']['kind']}; "
        f"{results['classifier']['network']['name']}\n"
        + "; ".join(protocol["marks"])
    )
