"""The task of every ``conversation*.yaml``: the emotion of the next turn.

From the turns before it, emotion2vec section 5.4. A yaml asks for it by

``task: !new:speechbrain_e2v.downstream.conversation.task.NextEmotion``
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import prepare
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.downstream.classification.task import run_classifier
from speechbrain_e2v.downstream.conversation.batches import Conversations
from speechbrain_e2v.downstream.conversation.caveats import conversation_marks
from speechbrain_e2v.downstream.conversation.samples import describe, samples_of
from speechbrain_e2v.downstream.data import (
    KEYS,
    DownstreamData,
    checked_device,
)
from speechbrain_e2v.downstream.results import protocol_entry
from speechbrain_e2v.training.experiment import one_line_errors

_OPTIONS = ("context_turns", "min_context_turns", "target_utterance")
_MODALITIES = ("speech", "text")


@dataclass(frozen=True)
class Inputs:
    """What stands for the upstream in ``results.json``.

    Arguments
    ---------
    loaded : dict
        Of ``speech``, of ``text`` or of both, in this order: what a source
        has loaded, with ``description`` and ``digest``.

    Example
    -------
    >>> from speechbrain_e2v.downstream.conversation.utterance_vectors import (
    ...     UtteranceVectors)
    >>> speech = UtteranceVectors(None, {"kind": "x"}, "12")
    >>> Inputs({"speech": speech}).description
    {'kind': 'x'}
    """

    loaded: dict

    @property
    def modality(self):
        """``speech``, ``text`` or ``speech+text``."""
        return "+".join(self.loaded)

    @property
    def description(self):
        """Of the speech, with the text's as ``text`` where there are both."""
        first = next(iter(self.loaded.values())).description
        if len(self.loaded) == 1:
            return first
        return {**first, "text": self.loaded["text"].description}

    @property
    def digest(self):
        """Of all of them."""
        text = "|".join(part.digest for part in self.loaded.values())
        return hashlib.sha256(text.encode()).hexdigest()


class NextEmotion:
    """Every fold and seed of emotion prediction in conversation.

    Example
    -------
    >>> "context_turns" in NextEmotion().keys
    True
    """

    keys = (
        *(key for key in KEYS if key != "upstream"),
        *_OPTIONS,
        "inputs",
        "classifier",
    )

    def run(self, corpus, experiment):
        """Run the experiment and write its results.

        Arguments
        ---------
        corpus : Corpus
            What the recipe's ``<corpus>_prepare.py`` knows; has
            ``conversation``.
        experiment : Experiment
            Command line and yaml.

        Returns
        -------
        dict
            The content of ``<output_folder>/results.json``.
        """
        with one_line_errors():
            material, samples, counts = _gather(corpus, experiment, self.keys)
            network = experiment.hparams["classifier"].description["network"]
            protocol = protocol_entry(experiment, material)
            protocol["marks"] += conversation_marks(material.folds, samples)
            protocol["marks"] += _other_network(network)
            modality = material.upstream.modality
            about = {
                "task": "emotion prediction in conversation",
                "corpus": f"{material.corpus.name} conversation, {modality}",
                "protocol": protocol,
                "conversation": counts,
            }
            return run_classifier(experiment, material, about, _title)


def _gather(corpus, experiment, keys):
    started = time.monotonic()
    hparams = experiment.hparams
    device = checked_device(experiment, keys)
    sources = _checked_sources(hparams["inputs"])
    if corpus.conversation is None:
        raise ValueError(
            f"{corpus.name}: its recipe knows no dialogues; there are some of "
            "IEMOCAP and MELD"
        )
    corpus = corpus.conversation
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
        **describe(utterances, samples, corpus.classes),
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
    inputs = Inputs(
        {
            name: source.load(utterances, hparams["feature_cache"], device)
            for name, source in sources.items()
        }
    )
    store = Conversations(utterances, samples, inputs.loaded.values())
    material = DownstreamData(
        corpus, manifest, targets, folds, store, inputs, started
    )
    return material, samples, about


def _checked_sources(inputs):
    if not inputs or set(inputs) - set(_MODALITIES):
        raise ValueError(
            f"inputs has {', '.join(inputs or ()) or 'nothing'}; give speech, "
            "text or both"
        )
    return {name: inputs[name] for name in _MODALITIES if name in inputs}


def counts_table(about):
    """Samples beside the published ones, for the terminal.

    Arguments
    ---------
    about : dict
        Of :func:`describe`, with
        ``published_per_class``.

    Returns
    -------
    str

    Example
    -------
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


def _other_network(network):
    """The paper's numbers are of the routed network, read forwards."""
    usual = network.get("cell", "gru") == "gru"
    usual = usual and not network.get("bidirectional")
    if network["name"] == "RoutedNetwork" and usual:
        return []
    marks = [network["name"]]
    marks += ["LSTM"] if network.get("cell") == "lstm" else []
    marks += ["bidirectional"] if network.get("bidirectional") else []
    return [f"another network than the paper's: {', '.join(marks)}"]


def _title(results):
    protocol, pooled = results["protocol"], results["pooled"]
    return (
        f"{results['corpus']}, {protocol['name']}: UAR {pooled['ua']:.2f}  "
        f"MacroF1 {pooled['macro_f1']:.2f}\n"
        f"{results['upstream']['kind']}; "
        f"{results['classifier']['network']['name']}\n"
        + "; ".join(protocol["marks"])
    )
